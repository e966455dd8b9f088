// What ioredis and iovalkey have in common: plain use of a cluster, from connecting to quitting.
import { equal, nodes, ok } from './check.mjs';

export async function useCluster(Cluster, library) {
  const cluster = new Cluster(nodes.slice(0, 2), { scaleReads: 'master' });
  const errors = [];
  cluster.on('error', (error) => errors.push(String(error)));
  cluster.on('node error', (error) => errors.push(String(error)));

  equal(await cluster.set('foo', 'bar'), 'OK', `${library}: set`);
  equal(await cluster.get('foo'), 'bar', `${library}: get`);
  equal(await cluster.get('nothing'), null, `${library}: get of nothing`);
  equal(cluster.nodes('master').length, nodes.length, `${library}: finds every master`);

  const keys = Array.from({ length: 1000 }, (_, i) => `${library}:${i}`);
  await Promise.all(keys.map((key, i) => cluster.set(key, i, 'EX', 600)));
  const values = await Promise.all(keys.map((key) => cluster.get(key)));
  ok(values.every((value, i) => value === String(i)), `${library}: a thousand keys over all nodes`);
  const ttl = await cluster.ttl(keys[0]);
  ok(ttl > 500 && ttl <= 600, `${library}: ttl`, ttl);

  await cluster.mset('{tag}a', 1, '{tag}b', 2);
  equal(await cluster.mget('{tag}a', '{tag}b', '{tag}c'), ['1', '2', null], `${library}: mget by tag`);
  const crossing = await cluster.mget('a', 'b').catch((error) => error.message);
  ok(/CROSSSLOT/.test(crossing), `${library}: mget over slots is an error`, crossing);

  const found = new Set();
  for (const node of cluster.nodes('master')) {
    let cursor = '0';
    do {
      const [next, page] = await node.scan(cursor, 'MATCH', `${library}:*`, 'COUNT', 100);
      page.forEach((key) => found.add(key));
      cursor = next;
    } while (cursor !== '0');
  }
  equal(found.size, 1000, `${library}: scanning every node finds every key`);

  const pipeline = cluster.pipeline();
  for (let i = 0; i < 500; i++) pipeline.incr(`{${library}}${i % 5}`);
  const results = await pipeline.exec();
  ok(results.every(([error]) => !error), `${library}: a pipeline of 500`);
  equal(results[499][1], 100, `${library}: is executed in order`);

  equal(await cluster.del('{tag}a', '{tag}b'), 2, `${library}: del`);
  const buffer = Buffer.from([0, 255, 13, 10, 0]);
  await cluster.set('binary', buffer);
  ok(buffer.equals(await cluster.getBuffer('binary')), `${library}: bytes of any kind`);
  equal(await cluster.set(`${library}:once`, '1', 'EX', 10, 'NX'), 'OK', `${library}: set NX`);
  equal(await cluster.set(`${library}:once`, '2', 'EX', 10, 'NX'), null, `${library}: and again`);
  const wrong = await cluster.call('nosuchcommand').catch((error) => error.message);
  ok(/^ERR unknown command/.test(wrong), `${library}: an unknown command is an error`, wrong);
  equal(errors, [], `${library}: no connection had an error`);
  await cluster.quit();
  ok(true, `${library}: quits`);
}
