//! Edits of a node, which keep every other part at its place.

use crate::reader::{At, Fields, Reader};
use crate::yaml::{Key, Node, Place, Value};

impl Node {
    /// Returns a text that stands for something that was written there.
    pub(crate) fn text(text: impl Into<String>, place: &Place) -> Self {
        Self { value: Value::Text(text.into()), place: place.clone(), written: None }
    }

    /// Returns a mapping that stands for something that was written there.
    pub(crate) fn mapping<'a>(pairs: impl IntoIterator<Item = (&'a str, Self)>, place: &Place) -> Self {
        let key = |name: &str, node: &Self| Key { name: name.to_owned(), place: node.place.clone() };
        let entries = pairs.into_iter().map(|(name, node)| (key(name, &node), node));
        Self { value: Value::Map(entries.collect()), place: place.clone(), written: None }
    }

    /// Returns the value of a key, without any check.
    pub(crate) fn get(&self, name: &str) -> Option<&Self> {
        let Value::Map(entries) = &self.value else { return None };
        entries.iter().find(|(key, _)| key.name == name).map(|(_, node)| node)
    }

    /// Returns the value of a key, to change it.
    pub(crate) fn get_mut(&mut self, name: &str) -> Option<&mut Self> {
        let Value::Map(entries) = &mut self.value else { return None };
        entries.iter_mut().find(|(key, _)| key.name == name).map(|(_, node)| node)
    }

    /// Replaces the value of a key, or adds it.
    pub(crate) fn put(&mut self, name: &str, node: Self) {
        if let Some(held) = self.get_mut(name) {
            *held = node;
        } else if let Value::Map(entries) = &mut self.value {
            entries.push((Key { name: name.to_owned(), place: node.place.clone() }, node));
        }
    }

    /// Puts a value under another key in the place of a key, or adds it.
    pub(crate) fn rename(&mut self, was: &str, name: &str, node: Self) {
        if let Value::Map(entries) = &mut self.value
            && let Some((key, held)) = entries.iter_mut().find(|(key, _)| key.name == was)
        {
            name.clone_into(&mut key.name);
            *held = node;
        } else {
            self.put(name, node);
        }
    }

    /// Keeps numbers and switches under some keys as the texts they were written as.
    pub(crate) fn keep_texts(&mut self, is_text: impl Fn(&str) -> bool) {
        let Value::Map(entries) = &mut self.value else { return };
        for (_, node) in entries.iter_mut().filter(|(key, _)| is_text(&key.name)) {
            if let Some(written) = node.written.take() {
                node.value = Value::Text(written);
            }
        }
    }

    /// Leaves a key out.
    pub(crate) fn leave_out(&mut self, name: &str) {
        if let Value::Map(entries) = &mut self.value {
            entries.retain(|(key, _)| key.name != name);
        }
    }
}

impl Reader<'_> {
    /// Returns the entries of a mapping. Another reader reports a node that is none.
    pub(crate) fn within<'n>(&mut self, at: &At<'n>) -> Option<Fields<'n>> {
        matches!(at.node.value, Value::Map(_)).then(|| self.open_fields(at, "")).flatten()
    }

    /// Returns the items of a list. Another reader reports a node that is none.
    pub(crate) fn items_within<'n>(&mut self, at: &At<'n>) -> Vec<At<'n>> {
        let list = matches!(at.node.value, Value::List(_)).then(|| self.list(at)).flatten();
        list.unwrap_or_default()
    }
}
