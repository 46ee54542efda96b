//! The texts that stand for the variables of a journey until a request is made.

/// A part of every placeholder.
const MARK: &str = "journeyvariable";

/// Both ends of every placeholder.
const EDGE: &str = "zz";

/// Returns whether a text holds a placeholder: what it stands for is no secret that was written down.
pub(super) fn has_placeholder(text: &str) -> bool {
    text.contains(MARK)
}

/// Returns the text that stands for a variable: letters and digits, so that every part of a URL can hold it.
pub(super) fn placeholder(variable: usize) -> String {
    format!("{EDGE}{variable:03}{MARK}{EDGE}")
}

/// Replaces placeholders by values, in one pass over the text: a value may hold a placeholder itself.
pub(super) fn fill(text: &str, value: impl Fn(usize) -> Option<String>) -> String {
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(EDGE) {
        let (before, from) = rest.split_at(at);
        filled.push_str(before);
        let found = leading_placeholder(from).and_then(|(variable, after)| Some((value(variable)?, after)));
        rest = match found {
            Some((value, after)) => {
                filled.push_str(&value);
                after
            }
            None => {
                let (first, after) = from.split_at(1);
                filled.push_str(first);
                after
            }
        };
    }
    filled.push_str(rest);
    filled
}

/// Splits the placeholder off that a text begins with.
fn leading_placeholder(text: &str) -> Option<(usize, &str)> {
    let numbered = text.strip_prefix(EDGE)?;
    let (number, after) = numbered.split_once(MARK)?;
    let is_number = number.len() >= 3 && number.bytes().all(|byte| byte.is_ascii_digit());
    Some((number.parse().ok().filter(|_| is_number)?, after.strip_prefix(EDGE)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_never_replaced_again_and_a_text_like_a_placeholder_stays() {
        let [first, second] = [0, 1].map(placeholder);
        let values = [second.clone(), "secret".to_owned()];
        let fill = |text: &str| fill(text, |index| values.get(index).cloned());
        assert_eq!(fill(&format!("a{first}b{second}c")), format!("a{second}bsecretc"));
        assert_eq!(fill(&format!("z{second}z zz zz00{MARK}zz")), format!("zsecretz zz zz00{MARK}zz"));
        let unknown = placeholder(7);
        assert_eq!(fill(&format!("{unknown}{second}ü")), format!("{unknown}secretü"));
    }
}
