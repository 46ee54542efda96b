//! Streams: the sources of counts of an SLO, one per component.

use super::model::{Component, Config, Indicator, Slo};

/// The counts of an SLO, or of one component of a composite.
#[derive(Debug, Clone)]
pub struct Stream<'c> {
    /// Index into `Config::slos`.
    pub slo: usize,
    /// The place among the components; zero where there is one indicator.
    pub component: usize,
    /// The id its counts are stored under: that of the SLO, for a component followed by `/` and its name.
    pub id: String,
    /// Source of its events.
    pub indicator: &'c Indicator,
}

impl Config {
    /// Returns all streams. Collectors name a stream by its place in this list.
    #[must_use]
    pub fn streams(&self) -> Vec<Stream<'_>> {
        let of_slo =
            |(index, slo)| Slo::streams(slo).into_iter().map(move |stream| Stream { slo: index, ..stream });
        self.slos.iter().enumerate().flat_map(of_slo).collect()
    }
}

impl Slo {
    /// Returns the streams of this SLO; the index of the SLO is left at zero.
    #[must_use]
    pub fn streams(&self) -> Vec<Stream<'_>> {
        let Indicator::Composite(components) = &self.indicator else {
            return vec![Stream { slo: 0, component: 0, id: self.id(), indicator: &self.indicator }];
        };
        let stream =
            |(component, part): (usize, &'_ Component)| (component, format!("{}/{}", self.id(), part.name));
        let named = components.iter().enumerate().map(stream).zip(components);
        named
            .map(|((component, id), part)| Stream { slo: 0, component, id, indicator: &part.indicator })
            .collect()
    }

    /// Its components; none where there is one indicator.
    #[must_use]
    pub fn components(&self) -> &[Component] {
        match &self.indicator {
            Indicator::Composite(components) => components,
            Indicator::Probe { .. }
            | Indicator::Scrape { .. }
            | Indicator::Up { .. }
            | Indicator::Prometheus { .. } => &[],
        }
    }
}
