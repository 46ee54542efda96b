/*
 * A dashboard as we write it: the types that Grafana publishes, put together by kind of panel, and types of our own
 * where the published ones leave anything open (queries, links, transformations, the size of the grid).
 * `extract.py` makes dashboard.json of it.
 */
import * as grafana from '@grafana/schema/dist/types/raw/dashboard/x/dashboard_types.gen';
import * as stat from '@grafana/schema/dist/types/raw/composable/stat/panelcfg/x/StatPanelCfg_types.gen';
import * as table from '@grafana/schema/dist/types/raw/composable/table/panelcfg/x/TablePanelCfg_types.gen';
import * as text from '@grafana/schema/dist/types/raw/composable/text/panelcfg/x/TextPanelCfg_types.gen';
import * as timeseries from '@grafana/schema/dist/types/raw/composable/timeseries/panelcfg/x/TimeSeriesPanelCfg_types.gen';
import * as heatmap from '@grafana/schema/dist/types/raw/composable/heatmap/panelcfg/x/HeatmapPanelCfg_types.gen';

/* Names of their own: every plugin calls its types `Options` and `FieldConfig`. */
interface HeatmapOptions extends heatmap.Options {}
interface HeatmapFields extends heatmap.FieldConfig {}
interface StatOptions extends stat.Options {}
interface TableOptions extends table.Options {}
interface TableFields extends table.FieldConfig {}
interface TextOptions extends text.Options {}
interface TimeSeriesOptions extends timeseries.Options {}
interface TimeSeriesFields extends timeseries.FieldConfig {}

/** One data source for all, which the reader chooses. */
interface Prometheus {
  type: 'prometheus';
  uid: '${datasource}';
}

/** The types of Prometheus' queries are not among those that Grafana publishes under the Apache licence. */
interface Query {
  datasource: Prometheus;
  editorMode: 'code';
  exemplar: boolean;
  /** @minLength 1 */
  expr: string;
  format: 'time_series' | 'table' | 'heatmap';
  hide?: boolean;
  instant: boolean;
  interval?: string;
  legendFormat: string;
  range: boolean;
  /** @pattern ^([A-Z]|Q[0-9]+)$ */
  refId: string;
}

/** The published type knows the fields of Grafana's own annotations alone. */
interface Annotation extends Omit<grafana.AnnotationQuery, 'datasource' | 'target' | 'type'> {
  datasource: Prometheus;
  /** @minLength 1 */
  expr: string;
  step: string;
  tagKeys?: string;
  textFormat?: string;
  titleFormat: string;
  useValueForTime?: boolean;
}

interface DataLink {
  targetBlank: boolean;
  /** @minLength 1 */
  title: string;
  /** @minLength 1 */
  url: string;
}

interface Merge {
  id: 'merge';
  /** @additionalProperties false */
  options: {};
}

interface Organize {
  id: 'organize';
  options: {
    excludeByName?: Record<string, boolean>;
    includeByName?: Record<string, boolean>;
    indexByName?: Record<string, number>;
    renameByName?: Record<string, string>;
  };
}

interface SortBy {
  id: 'sortBy';
  options: {
    /**
     * @minItems 1
     * @maxItems 1
     */
    sort: { field: string; desc: boolean }[];
  };
}

/** @discriminator id */
type Transformation = Merge | Organize | SortBy;

/** The units in use: one that Grafana does not know is printed behind the number as it is. */
type Unit = 'bytes' | 'none' | 'ops' | 'percentunit' | 'reqps' | 's' | 'short';

/** Grafana's grid has 24 columns; what is published says "number". */
interface Place {
  /**
   * @asType integer
   * @minimum 1
   */
  h: number;
  /**
   * @asType integer
   * @minimum 1
   * @maximum 24
   */
  w: number;
  /**
   * @asType integer
   * @minimum 0
   * @maximum 23
   */
  x: number;
  /**
   * @asType integer
   * @minimum 0
   */
  y: number;
}

interface Defaults<Custom> extends Omit<grafana.FieldConfig, 'custom' | 'links' | 'unit'> {
  custom: Custom;
  links: DataLink[];
  noValue: string;
  unit: Unit;
}

interface Override {
  matcher: { id: 'byName'; /** @minLength 1 */ options: string };
  /** What may stand here depends on the kind of panel: `extract.py` fills it in from `defaults`. */
  properties: Property[];
}

interface Property {
  id: string;
  value: unknown;
}

interface Shown<Options, Custom>
  extends Omit<grafana.Panel, 'type' | 'datasource' | 'description' | 'fieldConfig' | 'gridPos' | 'id' | 'interval' | 'options' | 'targets' | 'title' | 'transformations'> {
  datasource: Prometheus;
  /** @minLength 1 */
  description: string;
  fieldConfig: { defaults: Defaults<Custom>; overrides: Override[] };
  gridPos: Place;
  /**
   * @asType integer
   * @minimum 1
   */
  id: number;
  /** @pattern ^[0-9]+(ms|s|m|h)$ */
  interval: string;
  options: Options;
  /** @minItems 1 */
  targets: Query[];
  /** @minLength 1 */
  title: string;
  transformations: Transformation[];
}

interface Stat extends Shown<StatOptions, Nothing> {
  type: 'stat';
}

interface Table extends Shown<TableOptions, TableFields> {
  type: 'table';
}

interface TimeSeries extends Shown<TimeSeriesOptions, TimeSeriesFields> {
  type: 'timeseries';
}

interface Heatmap extends Shown<HeatmapOptions, HeatmapFields> {
  type: 'heatmap';
}

/** The only kind that asks nothing. */
interface Text extends Omit<grafana.Panel, 'type' | 'datasource' | 'gridPos' | 'options' | 'fieldConfig' | 'targets' | 'transformations'> {
  type: 'text';
  gridPos: Place;
  options: TextOptions;
}

/** @additionalProperties false */
interface Nothing {}

/** An open row: its panels stand after it. */
interface Row extends Omit<grafana.RowPanel, 'gridPos' | 'panels' | 'type'> {
  type: 'row';
  gridPos: Place;
  /** @maxItems 0 */
  panels: unknown[];
}

/** @discriminator type */
type Panel = Stat | Table | TimeSeries | Heatmap | Text | Row;

interface OfQuery extends Omit<grafana.VariableModel, 'type' | 'datasource' | 'query'> {
  type: 'query';
  datasource: Prometheus;
  /** @minLength 1 */
  query: string;
}

interface OfDatasource extends Omit<grafana.VariableModel, 'type' | 'query'> {
  type: 'datasource';
  name: 'datasource';
  query: 'prometheus';
}

/** @discriminator type */
type Variable = OfQuery | OfDatasource;

export interface Dashboard extends Omit<grafana.Dashboard, 'annotations' | 'panels' | 'templating' | 'uid' | 'title' | 'id'> {
  annotations: { list: Annotation[] };
  /** @minItems 1 */
  panels: Panel[];
  templating: { list: Variable[] };
  /** @minLength 1 */
  title: string;
  /** @pattern ^[-_a-zA-Z0-9]{1,40}$ */
  uid: string;
}
