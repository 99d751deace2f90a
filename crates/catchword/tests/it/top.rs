//! The live view, on a terminal of the test's own.

use std::fs::File;
use std::io::{Read, Write};
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;

use rustix::fs::{Mode, OFlags, open};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};

use crate::harness::{Cluster, wait_until};

/// A command on a terminal of 120 columns and 30 lines.
struct OnTerminal {
    child: Child,
    keyboard: File,
    terminal: File,
    shown: Arc<Mutex<Vec<u8>>>,
}

impl OnTerminal {
    fn start(cluster: &Cluster, args: &[&str]) -> Self {
        let outside = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
        grantpt(&outside).expect("it can be used");
        unlockpt(&outside).expect("it can be used");
        let name = ptsname(&outside, Vec::new()).expect("it has a name");
        let inside = open(name, OFlags::RDWR | OFlags::NOCTTY, Mode::empty());
        let terminal = File::from(inside.expect("it opens"));
        let size = Winsize {
            ws_row: 30,
            ws_col: 120,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        tcsetwinsize(&terminal, size).expect("it takes a size");
        let own = || Stdio::from(terminal.try_clone().expect("it can be shared"));
        let mut command = cluster.command(args);
        command.env("TERM", "xterm");
        let child = command.stdin(own()).stdout(own()).stderr(own()).spawn();
        let keyboard = File::from(outside);
        let mut screen = keyboard.try_clone().expect("it can be shared");
        let shown: Arc<Mutex<Vec<u8>>> = Arc::default();
        let seen = shown.clone();
        thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(count @ 1..) = screen.read(&mut bytes) {
                seen.lock()
                    .expect("nobody panicked")
                    .extend_from_slice(&bytes[..count]);
            }
        });
        Self {
            child: child.expect("the binary starts"),
            keyboard,
            terminal,
            shown,
        }
    }

    fn has_shown(&self, text: &str) -> bool {
        String::from_utf8_lossy(&self.shown.lock().expect("nobody panicked")).contains(text)
    }

    fn press(&mut self, keys: &str) {
        self.keyboard
            .write_all(keys.as_bytes())
            .expect("it takes keys");
    }

    fn is_raw(&self) -> bool {
        let modes = tcgetattr(&self.terminal).expect("it tells").local_modes;
        !modes.contains(LocalModes::ICANON | LocalModes::ECHO)
    }
}

impl Drop for OnTerminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What leaves the terminal's other screen.
const LEFT: &str = "\x1b[?1049l";

#[test]
fn groups_are_shown_and_the_terminal_is_given_back() {
    let cluster = Cluster::own();
    cluster.numbers("t", 1, 10);
    cluster
        .run(&["consume", "t", "--group", "readers", "--max", "4"])
        .ok();
    let mut top = OnTerminal::start(&cluster, &["top", "--every", "1"]);
    wait_until("the group is shown", || {
        top.has_shown("○ closed  readers       6")
    });
    assert!(top.is_raw());
    top.press("\r");
    wait_until("its partitions are shown", || {
        top.has_shown("Group readers on") && top.has_shown("t:0")
    });
    assert!(!top.has_shown(LEFT));
    top.press("q");
    wait_until("it ends", || top.child.try_wait().unwrap().is_some());
    assert!(top.child.wait().unwrap().success());
    wait_until("the screen is given back", || top.has_shown(LEFT));
    assert!(!top.is_raw());
}

#[test]
fn a_signal_gives_the_terminal_back_too() {
    let cluster = Cluster::own();
    let mut top = OnTerminal::start(&cluster, &["top"]);
    wait_until("it has begun", || top.has_shown("There is no group yet"));
    let pid = top.child.id().to_string();
    let status = std::process::Command::new("kill")
        .args(["-TERM", &pid])
        .status();
    assert!(status.expect("there is a kill command").success());
    wait_until("it ends", || top.child.try_wait().unwrap().is_some());
    wait_until("the screen is given back", || top.has_shown(LEFT));
    assert!(!top.is_raw());
}

#[test]
fn where_there_is_no_terminal_it_says_what_to_do() {
    let cluster = Cluster::own();
    let err = cluster.run(&["top"]).failed(2);
    assert!(err.contains("`catchword lag --watch`"), "{err}");
}
