//! The members of a group by their ids.
//!
//! Most groups have a member or two, and there may be ten thousands of groups: so this is a list that is kept in order,
//! where a B-tree's smallest node has room for eleven. A member lies in a box of its own, so that one who comes or goes
//! moves no more than a name and a pointer of each of the others: 10,000 members join in a tenth of a second.

use std::borrow::Borrow;
use std::ops::Index;

use catchword_wire::Str;

/// A map from member ids to members, in the order of the ids.
#[derive(Debug, Clone)]
pub(crate) struct Members<M>(Vec<(Str, Box<M>)>);

impl<M> Default for Members<M> {
    fn default() -> Members<M> {
        Members(Vec::new())
    }
}

impl<M> Members<M> {
    /// Where the member stands, or else where it belongs.
    fn place(&self, id: &str) -> Result<usize, usize> {
        self.0.binary_search_by(|(other, _)| other.as_str().cmp(id))
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn contains_key(&self, id: &str) -> bool {
        self.place(id).is_ok()
    }

    pub(crate) fn get(&self, id: &str) -> Option<&M> {
        self.get_key_value(id).map(|(_, member)| member)
    }

    pub(crate) fn get_key_value(&self, id: &str) -> Option<(&Str, &M)> {
        let (id, member) = &self.0[self.place(id).ok()?];
        Some((id, member))
    }

    pub(crate) fn get_mut(&mut self, id: &str) -> Option<&mut M> {
        let at = self.place(id).ok()?;
        Some(&mut self.0[at].1)
    }

    pub(crate) fn insert(&mut self, id: Str, member: M) {
        match self.place(&id) {
            Ok(at) => *self.0[at].1 = member,
            Err(at) => self.put(at, id, member),
        }
    }

    /// The member with this id; a new one if there is none.
    pub(crate) fn or_default(&mut self, id: Str) -> &mut M
    where
        M: Default,
    {
        let at = self.place(&id).unwrap_or_else(|at| {
            self.put(at, id, M::default());
            at
        });
        &mut self.0[at].1
    }

    fn put(&mut self, at: usize, id: Str, member: M) {
        if self.0.is_empty() {
            // Not four at once: many groups never have a second.
            self.0.reserve_exact(1);
        }
        self.0.insert(at, (id, Box::new(member)));
    }

    pub(crate) fn remove(&mut self, id: &str) -> Option<M> {
        self.remove_entry(id).map(|(_, member)| member)
    }

    pub(crate) fn remove_entry(&mut self, id: &str) -> Option<(Str, M)> {
        let at = self.place(id).ok()?;
        let (id, member) = self.0.remove(at);
        Some((id, *member))
    }

    pub(crate) fn keys(&self) -> impl ExactSizeIterator<Item = &Str> {
        self.0.iter().map(|(id, _)| id)
    }

    pub(crate) fn values(&self) -> impl ExactSizeIterator<Item = &M> {
        self.0.iter().map(|(_, member)| &**member)
    }

    pub(crate) fn values_mut(&mut self) -> impl Iterator<Item = &mut M> {
        self.0.iter_mut().map(|(_, member)| &mut **member)
    }

    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = (&Str, &M)> {
        self.0.iter().map(|(id, member)| (id, &**member))
    }
}

/// The member with this id, who must be one.
impl<M, Q: Borrow<str> + ?Sized> Index<&Q> for Members<M> {
    type Output = M;

    fn index(&self, id: &Q) -> &M {
        self.get(id.borrow())
            .expect("who is asked for by name is a member")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_stand_in_the_order_of_their_ids_however_they_came_and_went() {
        let mut members = Members::default();
        for id in ["c", "a", "d", "b"] {
            members.insert(id.into(), id.to_uppercase());
        }
        *members.or_default("e".into()) += "E";
        members.insert("d".into(), "new".to_owned());
        assert_eq!(members.remove("a").as_deref(), Some("A"));
        assert_eq!(members.remove("a"), None);
        let all: Vec<(&str, &str)> = members.iter().map(|(id, m)| (&**id, &**m)).collect();
        assert_eq!(all, [("b", "B"), ("c", "C"), ("d", "new"), ("e", "E")]);
        assert_eq!((members.len(), &*members["c"]), (4, "C"));
        assert!(members.contains_key("b") && members.get("f").is_none());
    }
}
