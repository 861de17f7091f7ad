//! Once memory has grown, neither a minibatch of PPO nor a Fisher-vector product of TRPO allocates.

use rl_algo::{ActorCritic, Batch, LinearizedPolicy, NetConfig, Parts, Reducer};
use rl_env::{Registry, rng::stream};
use rl_nn::{DistParams, Shards, States};
use rl_optim::{Adam, AdamParams, LinearOperator};
use rl_ppo::{Learner, Ledger, Minibatch, Pair, PpoConfig, Scratch, minibatch_loss};
use rl_rollout::Collector;

use crate::allocations;

fn collected(id: &str) -> (ActorCritic, Batch) {
    let env = Registry::builtin().get(id).unwrap().clone();
    let (observations, actions) = (&env.observation_space, &env.action_space);
    let mut rng = stream(0, "init", 0);
    let agent = ActorCritic::for_spaces(observations, actions, &NetConfig::default(), &mut rng).unwrap();
    let mut collector = Collector::new(env.make_vec(4).unwrap(), 0).unwrap();
    let mut batch = Batch::new(&agent);
    let (policy, theta) = (agent.policy(), agent.policy_theta());
    collector.collect(policy, theta, 100, &mut batch.rollout, &mut Vec::new()).unwrap();
    batch.estimate_advantages(&agent, 0.99, 0.95, &mut Shards::new()).unwrap();
    (agent, batch)
}

#[test]
fn a_minibatch_does_not_allocate() {
    for id in ["CartPole-v1", "Pendulum-v1"] {
        let (mut agent, batch) = collected(id);
        let policy_batch = batch.policy_batch(&agent, &batch.advantages).unwrap();
        let config = PpoConfig::default();
        let Parts { policy, policy_theta, critic, critic_theta, .. } = agent.parts_mut();
        let new_adam = |n: usize| Adam::new(n, AdamParams::default());
        let mut adams = [new_adam(policy_theta.len()), new_adam(critic_theta.len())];
        let mut scratch: [Scratch<f32>; 2] = Default::default();
        let ([a, b], [c, d]) = (&mut adams, &mut scratch);
        let mut learners = [Learner::new(policy_theta, a, c), Learner::new(critic_theta, b, d)];
        let rows: Vec<usize> = (0..64).collect();
        let counted = rl_train::with_threads(1, || {
            Pair::with(&mut Ledger::default(), |mut pair| {
                let mut step = || {
                    let minibatch = Minibatch {
                        policy: policy_batch,
                        old: DistParams {
                            y: &batch.rollout.policy_outputs,
                            globals: &batch.rollout.policy_globals,
                        },
                        returns: &batch.returns,
                        old_values: &batch.values,
                        rows: &rows,
                    };
                    let models = (policy, critic);
                    let loss = config.loss(1.0);
                    minibatch_loss(&mut pair, Reducer, models, &mut learners, &minibatch, &loss).unwrap();
                    learners.iter_mut().for_each(|learner| learner.step(1.0, 3e-4));
                };
                step();
                step();
                allocations(|| (0..10).for_each(|_| step()))
            })
        });
        assert_eq!(counted.unwrap(), 0, "{id}");
    }
}

#[test]
fn a_fisher_vector_product_does_not_allocate() {
    for id in ["CartPole-v1", "Pendulum-v1"] {
        let (agent, batch) = collected(id);
        let counted = rl_train::with_threads(1, || {
            let states = States::new(&batch.rollout.observations, agent.policy().network.n_inputs()).unwrap();
            let mut shards = Shards::new();
            let mut pi =
                LinearizedPolicy::new(agent.policy(), agent.policy_theta(), states, &mut shards).unwrap();
            let v = vec![1.0; agent.policy_theta().len()];
            let mut out = v.clone();
            let mut fisher = pi.fisher(1.0);
            let mut product = || fisher.apply(&v, &mut out).unwrap();
            product();
            product();
            allocations(|| (0..10).for_each(|_| product()))
        });
        assert_eq!(counted.unwrap(), 0, "{id}");
    }
}
