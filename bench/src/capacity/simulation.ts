import { least, mean, sum } from 'd3-array';

/** What a job has to have done at one station, in seconds of a replica that works on nothing else. */
export interface Task {
  /** The first run. */
  readonly read: number;
  /** Each run behind it. */
  readonly step?: number;
  readonly steps?: number;
  /** So many of these side by side, as the masks of one answer. */
  readonly parts?: number;
}

/** A task for each station, in their order. */
export type Job = readonly Task[];

/** Replicas that take what waits, first come, first served; each does one run at a time. */
export interface Station {
  readonly replicas: number;
  /** Cores that a run keeps busy. */
  readonly cores?: number;
  /**
   * Rows at once. Between two runs newcomers are read together, then all rows take a step (`Scheduler` of `@segue/llm`). A run
   * takes the mean of its rows' times, and `growth` of it more for each row behind the first.
   */
  readonly maxBatch?: number;
  readonly growth?: { readonly read: number; readonly step: number };
}

export interface System {
  readonly stations: readonly Station[];
  /** Shared by all runs: when they want more, all become slower alike (processor sharing). */
  readonly cores?: number;
}

/** Times of arrival in seconds, ascending; or clients that ask again as soon as they have an answer. */
export type Load = { readonly arrivals: readonly number[] } | { readonly clients: number };

/** Seconds. */
export interface Served {
  /** By job, from its arrival. */
  readonly latencies: readonly number[];
  /** By station, waiting and service of each job there. */
  readonly inStation: readonly (readonly number[])[];
  readonly elapsed: number;
}

interface Visit {
  readonly job: number;
  readonly arrivedAt: number;
  enteredAt: number;
  parts: number;
}

interface Row {
  readonly visit: Visit;
  readonly task: Task;
  stepsLeft: number;
}

class Replica {
  /** In virtual time; undefined when idle. */
  endsAt: number | undefined;
  readonly #station: Station;
  #joining: Row[] = [];
  #rows: Row[] = [];

  constructor(
    readonly place: number,
    station: Station,
  ) {
    this.#station = station;
  }

  get cores(): number {
    return this.#station.cores ?? 1;
  }

  /** Begins the next run; gives its seconds, undefined when there is nothing to do. */
  begin(queue: Row[], hasJustRead: boolean): number | undefined {
    const { maxBatch = 1, growth = { read: 0, step: 0 } } = this.#station;
    const seconds = (rows: readonly Row[], kind: 'read' | 'step') =>
      (mean(rows, ({ task }) => task[kind] ?? 0) ?? 0) * (1 + growth[kind] * (rows.length - 1));
    if (!hasJustRead || this.#rows.length === 0) {
      this.#joining = queue.splice(0, maxBatch - this.#rows.length);
      if (this.#joining.length > 0) return seconds(this.#joining, 'read');
    }
    return this.#rows.length > 0 ? seconds(this.#rows, 'step') : undefined;
  }

  /** Ends the run; gives the rows that are complete. */
  end(): { readonly complete: Row[]; readonly read: boolean } {
    const read = this.#joining.length > 0;
    if (!read) for (const row of this.#rows) row.stepsLeft--;
    const rows = [...this.#rows, ...this.#joining];
    this.#joining = [];
    this.#rows = rows.filter(({ stepsLeft }) => stepsLeft > 0);
    return { complete: rows.filter(({ stepsLeft }) => stepsLeft <= 0), read };
  }
}

/**
 * Discrete-event simulation of jobs that go through the stations one after another. Runs end in the order of virtual time,
 * which passes as fast as each run proceeds, so that a change of speed moves none of them (as in fair queueing, Demers 1989).
 */
export function simulate({ stations, cores = Infinity }: System, jobs: readonly Job[], load: Load): Served {
  const queues = stations.map((): Row[] => []);
  const replicas = stations.map((station, place) =>
    Array.from({ length: station.replicas }, () => new Replica(place, station)),
  );
  const running = new Set<Replica>();
  const latencies: number[] = [];
  const inStation = stations.map((): number[] => []);
  const arrivals = 'arrivals' in load ? load.arrivals : [];
  let [now, virtual, asked] = [0, 0, 0];

  const begin = (replica: Replica, hasJustRead: boolean): void => {
    const seconds = replica.begin(queues[replica.place] ?? [], hasJustRead);
    replica.endsAt = seconds === undefined ? undefined : virtual + seconds;
    if (seconds === undefined) running.delete(replica);
    else running.add(replica);
  };
  const enter = (visit: Visit, place: number): void => {
    const task = jobs[visit.job]?.[place];
    if (!task) {
      latencies[visit.job] = now - visit.arrivedAt;
      if ('clients' in load) ask();
      return;
    }
    Object.assign(visit, { enteredAt: now, parts: task.parts ?? 1 });
    for (let part = 0; part < visit.parts; part++) {
      queues[place]?.push({ visit, task, stepsLeft: task.steps ?? 0 });
      const idle = replicas[place]?.find(({ endsAt }) => endsAt === undefined);
      if (idle) begin(idle, false);
    }
  };
  const ask = (): void => {
    if (asked < jobs.length) enter({ job: asked++, arrivedAt: now, enteredAt: now, parts: 0 }, 0);
  };
  const end = (replica: Replica): void => {
    const { complete, read } = replica.end();
    begin(replica, read);
    for (const { visit } of complete) {
      if (--visit.parts > 0) continue;
      inStation[replica.place]?.push(now - visit.enteredAt);
      enter(visit, replica.place + 1);
    }
  };

  if ('clients' in load) for (let client = 0; client < load.clients; client++) ask();
  for (;;) {
    const next = least(running, ({ endsAt = Infinity }) => endsAt);
    const speed = Math.min(1, cores / sum(running, (replica) => replica.cores));
    const endsAt = next?.endsAt === undefined ? Infinity : now + (next.endsAt - virtual) / speed;
    const arrivesAt = (asked < jobs.length ? arrivals[asked] : undefined) ?? Infinity;
    const until = Math.min(endsAt, arrivesAt);
    if (until === Infinity) return { latencies, inStation, elapsed: now };
    if (running.size > 0) virtual += (until - now) * speed;
    now = until;
    if (next && endsAt <= arrivesAt) end(next);
    else ask();
  }
}
