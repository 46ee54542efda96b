//! Quantities of a query's value, and their arithmetic.

/// The quantity of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quantity {
    /// Events per second.
    PerSecond,
    /// Events in the window.
    Count,
    /// Events in a range that is not the window.
    CountOfOtherRange,
    /// A plain number, like a share or a factor.
    Number,
    /// A measurement that is neither a rate nor a count.
    Gauge,
    /// A sum of a rate and a count.
    Mixed,
}

impl Quantity {
    /// The quantity of a product.
    pub(super) fn times(self, other: Self) -> Self {
        match (self, other) {
            (Self::Number, quantity) | (quantity, Self::Number) => quantity,
            // a join with a series that says 1, like `kube_pod_info`
            (Self::Gauge, quantity) | (quantity, Self::Gauge) => quantity,
            _ => Self::Gauge,
        }
    }

    /// The quantity of a quotient.
    pub(super) fn over(self, other: Self) -> Self {
        match (self, other) {
            (quantity, Self::Number) => quantity,
            (left, right) if left == right && left != Self::Mixed => Self::Number,
            (Self::PerSecond | Self::Count, Self::Gauge) => self,
            (Self::Mixed, _) | (_, Self::Mixed) => Self::Mixed,
            _ => Self::Gauge,
        }
    }
}

/// The quantity of a sum, a difference or an `or`.
pub(super) fn sum(left: Quantity, right: Quantity) -> Quantity {
    match (left, right) {
        (left, right) if left == right => left,
        // `or vector(0)` and `+ 0`
        (Quantity::Number, quantity) | (quantity, Quantity::Number) => quantity,
        _ => Quantity::Mixed,
    }
}

/// The quantity of a recording, from its name up to the window: Prometheus' convention is `level:metric:operations`.
pub(super) fn recorded(name: &str) -> Option<Quantity> {
    let (_, operations) = name.rsplit_once(':')?;
    match operations.strip_prefix("sum_").unwrap_or(operations) {
        "rate" | "irate" => Some(Quantity::PerSecond),
        "increase" => Some(Quantity::Count),
        _ => None,
    }
}
