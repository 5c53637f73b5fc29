interface Flight<V> {
  readonly result: Promise<V>;
  readonly controller: AbortController;
  /** Who may want it still. */
  waiting: number;
}

/** Lets callers who ask for the same thing at the same time share one computation. Nothing is kept once it is done. */
export class SingleFlight<K, V> {
  readonly #flights = new Map<K, Flight<V>>();

  /**
   * The result of the flight under this key, which `compute` starts if there is none. A failure is everyone's.
   * @param compute gets a signal that aborts when those of all who wait have, with the reason of the last one.
   * @param signal of who waits; without one it never gives up.
   */
  run(key: K, compute: (signal: AbortSignal) => Promise<V>, signal?: AbortSignal): Promise<V> {
    const flight = this.#flights.get(key) ?? this.#start(key, compute);
    flight.waiting += 1;
    const leave = (): void => {
      flight.waiting -= 1;
      if (flight.waiting > 0) return;
      // Who comes now has not given up.
      this.#end(key, flight);
      flight.controller.abort(signal?.reason);
    };
    if (signal?.aborted) leave();
    else signal?.addEventListener('abort', leave, { once: true });
    const listenNoMore = (): void => signal?.removeEventListener('abort', leave);
    flight.result.then(listenNoMore, listenNoMore);
    return flight.result;
  }

  #start(key: K, compute: (signal: AbortSignal) => Promise<V>): Flight<V> {
    const controller = new AbortController();
    const result = compute(controller.signal).finally(() => this.#end(key, flight));
    const flight: Flight<V> = { result, controller, waiting: 0 };
    this.#flights.set(key, flight);
    return flight;
  }

  #end(key: K, flight: Flight<V>): void {
    if (this.#flights.get(key) === flight) this.#flights.delete(key);
  }
}
