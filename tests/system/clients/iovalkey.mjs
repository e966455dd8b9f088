// iovalkey against a real cluster.
import Redis from 'iovalkey';
import { run } from './check.mjs';
import { useCluster } from './redis_cluster_api.mjs';

run(() => useCluster(Redis.Cluster, 'iovalkey'));
