// What the client scripts share: where the cluster is, and checks that print TAP lines.
export const nodes = process.argv.slice(2).map((port) => ({ host: '127.0.0.1', port: Number(port) }));

let failed = 0;

// One fact: prints it as a line of TAP.
export function ok(held, name, detail) {
  console.log(`${held ? 'ok' : 'not ok'} - ${name}`);
  if (!held) {
    failed++;
    if (detail !== undefined) console.log(`# ${JSON.stringify(detail)}`);
  }
}

export function equal(got, wanted, name) {
  ok(JSON.stringify(got) === JSON.stringify(wanted), name, { got, wanted });
}

// Runs a script; an exception or a minute without an end is a failure.
export async function run(main) {
  const limit = setTimeout(() => {
    ok(false, 'the script ends within a minute');
    process.exit(1);
  }, 60000);
  try {
    await main();
  } catch (error) {
    ok(false, `no exception: ${error && error.stack}`);
  }
  clearTimeout(limit);
  console.log('# done');
  process.exit(failed ? 1 : 0);
}

// Resolves when `condition` does to something true; rejects after `limit` milliseconds.
export async function until(condition, limit = 10000) {
  const end = Date.now() + limit;
  for (;;) {
    const result = await condition();
    if (result) return result;
    if (Date.now() > end) throw new Error(`not within ${limit} ms: ${condition}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
