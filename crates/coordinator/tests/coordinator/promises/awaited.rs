//! While a group stands still it is told whom it waits for, what for, since when and until when.

use catchword_coordinator::{Awaited, Awaits, Call, Reply};
use catchword_wire::{ErrorCode, Str};

use crate::consumers::{alive, driver, joining, owning};
use crate::driver::{Driver, SECOND, assignments, join, sync};

fn awaited(driver: &mut Driver) -> Vec<Awaited> {
    match driver.look(Call::Roster("g".into())) {
        Reply::Roster(Some(roster)) => roster.awaited,
        other => panic!("{other:?}"),
    }
}

fn one(member_id: &Str, what: Awaits, since_ms: i64, until_ms: i64) -> Awaited {
    Awaited {
        member_id: member_id.clone(),
        client_id: "client".into(),
        client_host: "/127.0.0.1".into(),
        what,
        since_ms: Some(since_ms),
        until_ms: Some(until_ms),
    }
}

#[test]
fn a_classic_group_waits_for_who_has_not_rejoined_then_for_its_leader_then_for_who_has_not_synced()
{
    let mut driver = Driver::new();
    let members = driver.stable("g", 2);
    assert_eq!(awaited(&mut driver), []);

    driver.tick(SECOND);
    let since = driver.now_ms;
    let again = driver.join(join("g", &members[0]));
    driver.tick(SECOND);
    let expected = one(&members[1], Awaits::Rejoin, since, since + 60 * SECOND);
    assert_eq!(awaited(&mut driver), [expected]);

    let since = driver.now_ms;
    let last = driver.join(join("g", &members[1]));
    let (leader, other) = (driver.take_join(again).leader, &members[1]);
    assert_eq!(
        (driver.take_join(last).generation_id, &leader),
        (2, &members[0])
    );
    let told = awaited(&mut driver);
    assert!(
        told.contains(&one(&leader, Awaits::Assign, since, since + 60 * SECOND)),
        "{told:?}"
    );
    assert!(
        told.contains(&one(other, Awaits::Sync, since, since + 60 * SECOND)),
        "{told:?}"
    );

    let mut assigns = sync("g", &leader, 2);
    assigns.assignments = assignments(&members);
    driver.call(5, Call::SyncGroup(assigns));
    assert_eq!(
        awaited(&mut driver),
        [one(other, Awaits::Sync, since, since + 60 * SECOND)]
    );
    driver.call(5, Call::SyncGroup(sync("g", other, 2)));
    assert_eq!(awaited(&mut driver), []);
}

#[test]
fn who_was_given_a_member_id_and_does_not_come_is_awaited_as_well() {
    let mut driver = Driver::new();
    let members = driver.stable("g", 1);
    let announced = driver.new_member("g");
    driver.join(join("g", &members[0]));
    let told = awaited(&mut driver);
    assert_eq!(
        (told.len(), &told[0].member_id, &told[0].what),
        (1, &announced, &Awaits::Rejoin)
    );
}

#[test]
fn a_group_of_the_new_protocol_waits_for_who_has_what_is_anothers_by_now() {
    let mut driver = driver();
    let a = driver.beat(joining("g", "a"));
    driver.tick(SECOND);
    let decided = driver.now_ms;
    driver.beat(joining("g", "b"));
    let others: Vec<(Str, i32)> = (0..6)
        .filter(|p| {
            !driver.described("g").members[0]
                .target_assignment
                .topic_partitions[0]
                .partitions
                .contains(p)
        })
        .map(|p| ("t".into(), p))
        .collect();
    assert_eq!(others.len(), 3);
    // It has not heard of it yet.
    let unheard = Awaited {
        until_ms: None,
        ..one(&"a".into(), Awaits::GiveUp(others.clone()), decided, 0)
    };
    assert_eq!(awaited(&mut driver), [unheard]);

    driver.tick(SECOND);
    let told = driver.now_ms;
    driver.beat(alive("g", "a", a.member_epoch));
    let expected = one(
        &"a".into(),
        Awaits::GiveUp(others),
        told,
        told + 60 * SECOND,
    );
    assert_eq!(awaited(&mut driver), [expected]);

    let kept: Vec<i32> = driver.described("g").members[0]
        .target_assignment
        .topic_partitions[0]
        .partitions
        .clone();
    driver.beat(owning("g", "a", a.member_epoch, &kept));
    assert_eq!(awaited(&mut driver), []);
    assert_eq!(
        driver.beat_error(alive("g", "nobody", 1)),
        ErrorCode::UnknownMemberId
    );
}
