/** Metrics in Prometheus' text format, summed up over all labels but one. */
export interface Counters {
  /** The sum of a metric over its series of which some label has this value; 0 where there are none. */
  valueOf(name: string, label: string): number;
}

const SERIES = /^(\w+)\{(.*)\} (\S+)/;

export function readCounters(text: string): Counters {
  const series = text.split('\n').flatMap((line) => {
    const [, name, labels = '', value] = SERIES.exec(line) ?? [];
    return name === undefined ? [] : [{ name, labels, value: Number(value) }];
  });
  return {
    valueOf: (name, label) =>
      series
        .filter((one) => one.name === name && one.labels.includes(`="${label}"`))
        .reduce((sum, { value }) => sum + value, 0),
  };
}
