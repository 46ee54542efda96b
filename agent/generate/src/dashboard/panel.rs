//! One panel: queries, unit, position and colours.

use serde_json::{Value, json};

/// One query.
#[derive(Debug, Clone)]
pub(super) struct Target {
    expr: String,
    legend: String,
    instant: bool,
    exemplar: bool,
    format: &'static str,
}

impl Target {
    /// Creates a query over the time range of the dashboard.
    pub(super) fn range(expr: impl Into<String>, legend: &str) -> Self {
        Self {
            expr: expr.into(),
            legend: legend.to_owned(),
            instant: false,
            exemplar: false,
            format: "time_series",
        }
    }

    /// Creates a query for now.
    pub(super) fn instant(expr: impl Into<String>, legend: &str) -> Self {
        Self { instant: true, ..Self::range(expr, legend) }
    }

    /// Creates a query for now, as rows.
    pub(super) fn rows(expr: impl Into<String>) -> Self {
        Self { format: "table", ..Self::instant(expr, "") }
    }

    /// Creates a query over a histogram, whose exemplars link to traces.
    pub(super) fn histogram(expr: impl Into<String>, legend: &str) -> Self {
        Self { exemplar: true, ..Self::range(expr, legend) }
    }

    fn build(&self, index: usize) -> Value {
        let letter =
            u8::try_from(index).ok().and_then(|index| index.checked_add(b'A')).filter(u8::is_ascii_uppercase);
        let id = letter.map_or_else(|| format!("Q{index}"), |letter| char::from(letter).to_string());
        json!({
            "datasource": datasource(),
            "editorMode": "code",
            "exemplar": self.exemplar,
            "expr": self.expr,
            "format": self.format,
            "instant": self.instant,
            "legendFormat": self.legend,
            "range": !self.instant,
            "refId": id,
        })
    }
}

/// The kinds of panels in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Row,
    Stat,
    TimeSeries,
    Table,
}

/// Place and size in Grafana's grid of 24 columns.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) x: u32,
    pub(super) y: u32,
    pub(super) w: u32,
    pub(super) h: u32,
}

/// A panel.
#[derive(Debug, Clone)]
pub(super) struct Panel {
    /// The role, unique in its dashboard: the source of the id.
    role: String,
    kind: Kind,
    title: String,
    description: String,
    unit: &'static str,
    place: Place,
    targets: Vec<Target>,
    /// The colours, each from a value on; the first begins at minus infinity.
    steps: Vec<(Option<f64>, &'static str)>,
    /// True if the steps are drawn into the graph.
    lines: bool,
    log: bool,
    stacked: bool,
    minimum: Option<f64>,
    maximum: Option<f64>,
    mappings: Value,
    links: Vec<Value>,
    overrides: Vec<Value>,
    transformations: Vec<Value>,
    no_value: &'static str,
}

impl Panel {
    pub(super) fn new(
        kind: Kind,
        role: &str,
        title: &str,
        description: &str,
        unit: &'static str,
        place: Place,
    ) -> Self {
        Self {
            role: role.to_owned(),
            kind,
            title: title.to_owned(),
            description: description.to_owned(),
            unit,
            place,
            targets: Vec::new(),
            steps: vec![(None, "blue")],
            lines: false,
            log: false,
            stacked: false,
            minimum: None,
            maximum: None,
            mappings: json!([]),
            links: Vec::new(),
            overrides: Vec::new(),
            transformations: Vec::new(),
            no_value: "no data",
        }
    }

    /// Creates a heading over the whole width.
    pub(super) fn row(title: &str, y: u32) -> Self {
        Self::new(Kind::Row, &format!("row {title}"), title, "", "none", Place { x: 0, y, w: 24, h: 1 })
    }

    pub(super) fn targets(mut self, targets: Vec<Target>) -> Self {
        self.targets = targets;
        self
    }

    pub(super) fn steps(mut self, steps: Vec<(Option<f64>, &'static str)>) -> Self {
        self.steps = steps;
        self
    }

    pub(super) fn lines(mut self) -> Self {
        self.lines = true;
        self
    }

    pub(super) fn log(mut self) -> Self {
        self.log = true;
        self
    }

    pub(super) fn stacked(mut self) -> Self {
        self.stacked = true;
        self
    }

    pub(super) fn bounds(mut self, minimum: Option<f64>, maximum: Option<f64>) -> Self {
        (self.minimum, self.maximum) = (minimum, maximum);
        self
    }

    pub(super) fn mappings(mut self, mappings: Value) -> Self {
        self.mappings = mappings;
        self
    }

    pub(super) fn link(mut self, title: &str, url: &str) -> Self {
        self.links.push(json!({"title": title, "url": url, "targetBlank": false}));
        self
    }

    pub(super) fn overrides(mut self, overrides: Vec<Value>) -> Self {
        self.overrides = overrides;
        self
    }

    pub(super) fn transformations(mut self, transformations: Vec<Value>) -> Self {
        self.transformations = transformations;
        self
    }

    pub(super) fn no_value(mut self, text: &'static str) -> Self {
        self.no_value = text;
        self
    }

    /// Returns the panel of the dashboard `uid`.
    pub(super) fn build(&self, uid: &str) -> Value {
        let Place { x, y, w, h } = self.place;
        let id = (hash(&format!("{uid}/{}", self.role)) & 0x3fff_ffff).max(1);
        if self.kind == Kind::Row {
            return json!({"collapsed": false, "gridPos": {"x": x, "y": y, "w": w, "h": h}, "id": id, "panels": [],
                          "title": self.title, "type": "row"});
        }
        let targets: Vec<Value> =
            self.targets.iter().enumerate().map(|(i, target)| target.build(i)).collect();
        json!({
            "datasource": datasource(),
            "description": self.description,
            "fieldConfig": {"defaults": self.defaults(), "overrides": self.overrides},
            "gridPos": {"x": x, "y": y, "w": w, "h": h},
            "id": id,
            "interval": "15s",
            "maxDataPoints": 1000,
            "options": self.options(),
            "targets": targets,
            "title": self.title,
            "transformations": self.transformations,
            "type": match self.kind {
                Kind::Row => "row",
                Kind::Stat => "stat",
                Kind::TimeSeries => "timeseries",
                Kind::Table => "table",
            },
        })
    }

    fn defaults(&self) -> Value {
        let steps: Vec<Value> =
            self.steps.iter().map(|(value, colour)| json!({"value": value, "color": colour})).collect();
        let mode = if self.kind == Kind::TimeSeries { "palette-classic" } else { "thresholds" };
        let mut defaults = json!({
            "color": {"mode": mode},
            "links": self.links,
            "mappings": self.mappings,
            "noValue": self.no_value,
            "thresholds": {"mode": "absolute", "steps": steps},
            "unit": self.unit,
        });
        if let Some(map) = defaults.as_object_mut() {
            if let Some(minimum) = self.minimum {
                map.insert("min".to_owned(), minimum.into());
            }
            if let Some(maximum) = self.maximum {
                map.insert("max".to_owned(), maximum.into());
            }
            map.insert("custom".to_owned(), self.custom());
        }
        defaults
    }

    fn custom(&self) -> Value {
        match self.kind {
            Kind::TimeSeries => {}
            Kind::Table => return json!({"align": "auto", "cellOptions": {"type": "auto"}, "inspect": false}),
            Kind::Stat | Kind::Row => return json!({}),
        }
        let scale = if self.log { json!({"type": "log", "log": 10}) } else { json!({"type": "linear"}) };
        json!({
            "drawStyle": "line",
            "fillOpacity": if self.stacked { 30 } else { 0 },
            "lineWidth": 2,
            "scaleDistribution": scale,
            "showPoints": "never",
            "spanNulls": false,
            "stacking": {"group": "A", "mode": if self.stacked { "normal" } else { "none" }},
            "thresholdsStyle": {"mode": if self.lines { "line" } else { "off" }},
        })
    }

    fn options(&self) -> Value {
        match self.kind {
            Kind::TimeSeries => json!({
                "legend": {"calcs": ["lastNotNull", "max"], "displayMode": "table", "placement": "bottom",
                           "showLegend": true},
                "tooltip": {"mode": "multi", "sort": "desc"},
            }),
            Kind::Stat => json!({
                "colorMode": "background",
                "graphMode": "none",
                "justifyMode": "center",
                "orientation": "auto",
                "percentChangeColorMode": "standard",
                "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": false},
                "showPercentChange": false,
                "textMode": "value_and_name",
                "wideLayout": true,
            }),
            Kind::Table => json!({"cellHeight": "sm", "frameIndex": 0, "showHeader": true}),
            Kind::Row => json!({}),
        }
    }
}

fn datasource() -> Value {
    json!({"type": "prometheus", "uid": "${datasource}"})
}

/// Returns the FNV-1a hash, which is stable across versions; the standard library's hasher promises no stability.
pub(super) fn hash(text: &str) -> u32 {
    text.bytes().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}
