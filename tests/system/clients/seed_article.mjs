// The cache client that many production applications have, with the options that their tutorials
// give: fallback with setex, a lock against stampedes, reads by pipeline, deletion by pattern.
import Redis from 'ioredis';
import { equal, nodes, ok, run } from './check.mjs';

class CacheClient {
  constructor() {
    this.cluster = new Redis.Cluster(nodes, {
      enableReadyCheck: true,
      maxRetriesPerRequest: 3,
      retryDelayOnFailover: 100,
      retryDelayOnClusterDown: 300,
      scaleReads: 'slave',
      slotsRefreshTimeout: 2000,
      redisOptions: { connectTimeout: 10000, commandTimeout: 5000, keepAlive: 30000, family: 4 },
      clusterRetryStrategy: (times) => (times > 3 ? null : Math.min(times * 100, 2000)),
    });
    this.errors = [];
    this.cluster.on('error', (error) => this.errors.push(String(error)));
    this.cluster.on('node error', (error) => this.errors.push(String(error)));
  }

  async getWithFallback(key, fallback, ttl = 3600) {
    const cached = await this.cluster.get(key);
    if (cached) return JSON.parse(cached);
    const value = await fallback();
    await this.cluster.setex(key, ttl, JSON.stringify(value));
    return value;
  }

  async getWithLock(key, lockKey, fetch, ttl) {
    const cached = await this.cluster.get(key);
    if (cached) return JSON.parse(cached);
    if (await this.cluster.set(lockKey, '1', 'EX', 10, 'NX')) {
      try {
        const value = await fetch();
        await this.cluster.setex(key, ttl, JSON.stringify(value));
        return value;
      } finally {
        await this.cluster.del(lockKey);
      }
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
    return this.getWithLock(key, lockKey, fetch, ttl);
  }

  async getMany(keys) {
    const replies = await Promise.all(keys.map((key) => this.cluster.get(key)));
    return replies.map((reply) => JSON.parse(reply));
  }

  async invalidate(pattern) {
    let deleted = 0;
    for (const node of this.cluster.nodes('master')) {
      let cursor = '0';
      do {
        const [next, keys] = await node.scan(cursor, 'MATCH', pattern, 'COUNT', 1000);
        cursor = next;
        for (const key of keys) deleted += await this.cluster.del(key);
      } while (cursor !== '0');
    }
    return deleted;
  }
}

run(async () => {
  const cache = new CacheClient();
  let asked = 0;
  const load = async () => ({ asked: ++asked });
  equal(await cache.getWithFallback('page:1', load, 100), { asked: 1 }, 'a miss asks the source');
  equal(await cache.getWithFallback('page:1', load, 100), { asked: 1 }, 'a hit does not');
  const ttl = await cache.cluster.ttl('page:1');
  ok(ttl > 90 && ttl <= 100, 'with its time to live', ttl);

  let fetched = 0;
  const slow = async () => {
    fetched++;
    await new Promise((resolve) => setTimeout(resolve, 100));
    return { value: 42 };
  };
  const herd = await Promise.all(
    Array.from({ length: 50 }, () => cache.getWithLock('{hot}:key', '{hot}:lock', slow, 100)));
  ok(herd.every(({ value }) => value === 42), 'a herd of fifty gets its value');
  equal(fetched, 1, 'and one of them fetched it');

  const keys = Array.from({ length: 200 }, (_, i) => `page:{${i}}`);
  for (const [i, key] of keys.entries()) await cache.getWithFallback(key, async () => ({ i }), 100);
  equal((await cache.getMany(keys)).map(({ i }) => i), keys.map((_, i) => i), 'many at once');
  equal(await cache.invalidate('page:*'), 201, 'deleted by pattern, on every node');
  equal(await cache.cluster.get('page:1'), null, 'they are gone');
  equal(cache.errors, [], 'no connection had an error');
  await cache.cluster.quit();
});
