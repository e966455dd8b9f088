// ioredis against a real cluster, in both protocols, and against one node.
import Redis from 'ioredis';
import { equal, nodes, ok, run } from './check.mjs';
import { useCluster } from './redis_cluster_api.mjs';

run(async () => {
  await useCluster(Redis.Cluster, 'ioredis');
  for (const protocol of [2, 3]) {
    const client = new Redis({ ...nodes[0], protocol });
    const info = await client.info();
    ok(/cluster_enabled:1/.test(info), `ioredis: info by RESP${protocol}`);
    equal(await client.ping(), 'PONG', `ioredis: ping by RESP${protocol}`);
    client.disconnect();
  }
});
