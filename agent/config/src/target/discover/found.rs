//! An address that a source lists.

/// Most letters of an address.
const MOST_LETTERS: usize = 253;

/// An address with its labels.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct FoundAddress {
    /// A host with a port, or a URL.
    pub address: String,
    /// Labels of the target at this address.
    pub labels: Vec<(String, String)>,
}

impl FoundAddress {
    /// Returns whether the text may stand in a target: nothing in it is a variable, a placeholder or a credential.
    pub(super) fn is_address(text: &str) -> bool {
        let fits = |c: char| c.is_ascii_alphanumeric() || ".:/-_[]?=&%~+,".contains(c);
        !text.is_empty() && text.len() <= MOST_LETTERS && text.chars().all(fits)
    }
}
