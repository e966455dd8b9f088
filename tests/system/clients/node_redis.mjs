// node-redis against a real cluster, in both protocols.
import { createCluster } from 'redis';
import { equal, nodes, ok, run } from './check.mjs';

async function use(RESP) {
  const name = `node-redis RESP${RESP}`;
  const cluster = createCluster({
    rootNodes: nodes.slice(0, 2).map(({ host, port }) => ({ url: `redis://${host}:${port}` })),
    RESP,
  });
  const errors = [];
  cluster.on('error', (error) => errors.push(String(error)));
  await cluster.connect();
  equal(cluster.masters.length, nodes.length, `${name}: finds every master`);

  equal(await cluster.set('foo', 'bar'), 'OK', `${name}: set`);
  equal(await cluster.get('foo'), 'bar', `${name}: get`);
  equal(await cluster.get('nothing'), null, `${name}: get of nothing`);
  const keys = Array.from({ length: 1000 }, (_, i) => `nr${RESP}:${i}`);
  await Promise.all(keys.map((key, i) => cluster.setEx(key, 600, String(i))));
  const values = await Promise.all(keys.map((key) => cluster.get(key)));
  ok(values.every((value, i) => value === String(i)), `${name}: a thousand keys over all nodes`);

  await cluster.mSet([['{tag}a', '1'], ['{tag}b', '2']]);
  equal(await cluster.mGet(['{tag}a', '{tag}b', '{tag}c']), ['1', '2', null], `${name}: mGet by tag`);

  const found = new Set();
  for (const master of cluster.masters) {
    const client = await cluster.nodeClient(master);
    for await (const page of client.scanIterator({ MATCH: `nr${RESP}:*`, COUNT: 100 })) {
      [].concat(page).forEach((key) => found.add(key));
    }
  }
  equal(found.size, 1000, `${name}: scanning every node finds every key`);

  const counts = await Promise.all(Array.from({ length: 500 }, () => cluster.incr(`{c${RESP}}n`)));
  equal(counts[499], 500, `${name}: commands of one tick are pipelined in order`);
  equal(await cluster.del([`{c${RESP}}n`]), 1, `${name}: del`);
  equal(errors, [], `${name}: no connection had an error`);
  await cluster.close();
  ok(true, `${name}: closes`);
}

run(async () => {
  await use(2);
  await use(3);
});
