/** What commands that were sent together gave. @throws the first of their errors. */
export function resultsOf(results: readonly [Error | null, unknown][] | null): unknown[] {
  return (results ?? []).map(([error, result]) => {
    if (error) throw error;
    return result;
  });
}
