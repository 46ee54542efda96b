//! Numbers of streams, which survive a reload of the configuration.
//!
//! A stream keeps its number as long as its events come from the same place. With another source it gets a number that
//! was never used, so that an observation on its way is never counted for the wrong events.

use lookout_config::{Config, Indicator, Prometheus};

/// Numbers of the streams of a configuration and of those that followed it.
#[derive(Debug, Default)]
pub struct StreamNumbers {
    next: usize,
    known: Vec<Known>,
}

#[derive(Debug)]
struct Known {
    id: String,
    indicator: Indicator,
    /// The server that is asked, which decides what was read already.
    server: Option<Prometheus>,
    number: usize,
}

impl StreamNumbers {
    /// Returns the number of every stream, in the order of [`Config::streams`]. Those of the first configuration are its
    /// places.
    pub fn assign(&mut self, config: &Config) -> Vec<usize> {
        let known = std::mem::take(&mut self.known);
        for stream in config.streams() {
            let server = server_of(config, stream.indicator);
            let same = |known: &&Known| {
                known.id == stream.id
                    && known.indicator == *stream.indicator
                    && known.server.as_ref() == server
            };
            let number = known.iter().find(same).map_or(self.next, |known| known.number);
            self.next = self.next.max(number.saturating_add(1));
            self.known.push(Known {
                id: stream.id,
                indicator: stream.indicator.clone(),
                server: server.cloned(),
                number,
            });
        }
        self.known.iter().map(|known| known.number).collect()
    }
}

fn server_of<'a>(config: &'a Config, indicator: &Indicator) -> Option<&'a Prometheus> {
    let Indicator::Prometheus { source, .. } = indicator else { return None };
    config.prometheus.iter().find(|server| server.name == *source)
}

#[cfg(test)]
mod tests {
    use super::*;
    use lookout_config::{UrlOptions, config_of_urls};

    fn config(urls: &[&str]) -> Config {
        let urls: Vec<_> = urls.iter().map(|url| url.parse().unwrap()).collect();
        config_of_urls(&urls, &UrlOptions::default())
    }

    #[test]
    fn a_stream_keeps_its_number_and_a_number_is_never_given_twice() {
        let mut numbers = StreamNumbers::default();
        let three = config(&["http://a.test/", "http://b.test/", "http://c.test/"]);
        assert_eq!(numbers.assign(&three), [0, 1, 2]);
        let without_first = config(&["http://b.test/", "http://c.test/"]);
        assert_eq!(numbers.assign(&without_first), [1, 2]);
        assert_eq!(numbers.assign(&three), [3, 1, 2], "a stream that comes back is a new one");
        let mut other_source = three.clone();
        other_source.slos[1].indicator = Indicator::Up { source: "neighbour".to_owned() };
        assert_eq!(numbers.assign(&other_source), [3, 4, 2]);
    }
}
