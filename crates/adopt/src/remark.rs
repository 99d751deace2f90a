//! What a survey has to say about a directory, beyond its topics.

/// What a remark means for moving in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Weight {
    /// Worth knowing.
    Note,
    /// It does not come along.
    Left,
    /// As long as it is so, the directory is not adopted.
    Refusal,
}

/// Something about a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remark {
    /// What it means.
    pub weight: Weight,
    /// What is there.
    pub what: String,
    /// What follows, or what to do.
    pub advice: String,
}

/// Remarks as they are gathered.
#[derive(Debug, Default)]
pub(crate) struct Remarks(pub(crate) Vec<Remark>);

impl Remarks {
    fn add(&mut self, weight: Weight, what: impl Into<String>, advice: impl Into<String>) {
        self.0.push(Remark {
            weight,
            what: what.into(),
            advice: advice.into(),
        });
    }

    pub(crate) fn note(&mut self, what: impl Into<String>, advice: impl Into<String>) {
        self.add(Weight::Note, what, advice);
    }

    pub(crate) fn left(&mut self, what: impl Into<String>, advice: impl Into<String>) {
        self.add(Weight::Left, what, advice);
    }

    pub(crate) fn refuse(&mut self, what: impl Into<String>, advice: impl Into<String>) {
        self.add(Weight::Refusal, what, advice);
    }
}

/// `1 topic`, `2 topics`.
pub(crate) fn some(count: usize, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

/// Up to five of the names, and how many more there are.
pub(crate) fn few<T: ToString>(names: impl IntoIterator<Item = T>) -> String {
    let names: Vec<String> = names.into_iter().map(|name| name.to_string()).collect();
    let shown = names[..names.len().min(5)].join(", ");
    match names.len().saturating_sub(5) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}
