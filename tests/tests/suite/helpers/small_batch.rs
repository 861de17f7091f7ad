//! A hundred steps of a small agent.

use rand::SeedableRng;
use rl_algo::{ActorCritic, Batch, NetConfig};
use rl_env::{EnvRng, Registry};
use rl_nn::Shards;
use rl_rollout::Collector;

/// An agent and what it collected.
pub(crate) fn collected(id: &str) -> (ActorCritic, Batch) {
    let spec = Registry::builtin().get(id).unwrap().clone();
    let env = spec.make();
    let mut rng = EnvRng::seed_from_u64(0);
    let net = NetConfig { net_arch: [16].into(), ..NetConfig::default() };
    let agent =
        ActorCritic::for_spaces(&env.observation_space(), &env.action_space(), &net, &mut rng).unwrap();
    let mut batch = Batch::new(&agent);
    let mut collector = Collector::new(spec.make_vec(4).unwrap(), 0).unwrap();
    collector.collect(agent.policy(), agent.policy_theta(), 25, &mut batch.rollout, &mut Vec::new()).unwrap();
    batch.estimate_advantages(&agent, 0.99, 0.95, &mut Shards::new()).unwrap();
    (agent, batch)
}
