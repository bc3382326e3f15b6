/** A registry of prom-client, as far as it is needed: types of an optional package must not be needed by those who do without. */
export interface MetricsRegistry {
  registerMetric (metric: any): void
}

export interface MetricsOptions {
  /** `new Registry()` of prom-client 15, or its `register`. Several registrations may share one: they are added up. */
  register: MetricsRegistry
}
