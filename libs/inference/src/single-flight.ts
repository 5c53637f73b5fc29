/** Lets callers who ask for the same thing at the same time share one computation. Nothing is kept once it is done. */
export class SingleFlight<K, V> {
  readonly #flights = new Map<K, Promise<V>>();

  /** The result of the flight under this key, which `compute` starts if there is none. A failure is everyone's. */
  run(key: K, compute: () => Promise<V>): Promise<V> {
    const inFlight = this.#flights.get(key);
    if (inFlight) return inFlight;
    const flight = compute().finally(() => this.#flights.delete(key));
    this.#flights.set(key, flight);
    return flight;
  }
}
