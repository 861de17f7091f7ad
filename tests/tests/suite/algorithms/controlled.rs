//! A comparison is a controlled experiment: with the same seed all algorithms start from the same weights in the same states, and get the same
//! budget.

use std::sync::{Arc, Mutex};

use rl_algo::{
    ActorCritic, AlgoError, Algorithm, AlgorithmRegistry, AlgorithmSpec, Batch, Config, Report, UpdateContext,
};
use rl_ppo::{Ppo, PpoConfig};
use rl_trpo::{Trpo, TrpoConfig};

/// What an algorithm sees at its first update, and how many transitions it sees in all.
#[derive(Debug, Default)]
struct Start {
    algo: &'static str,
    theta: Vec<f32>,
    observations: Vec<f32>,
    transitions: usize,
}

type Log = Arc<Mutex<Vec<Start>>>;

/// Another algorithm, and a note of how each of its runs starts.
struct Watched<A> {
    algorithm: A,
    log: Log,
    place: usize,
}

impl<A> Watched<A> {
    fn new(algo: &'static str, algorithm: A, log: Log) -> Self {
        let mut starts = log.lock().unwrap();
        starts.push(Start { algo, ..Start::default() });
        let place = starts.len() - 1;
        drop(starts);
        Watched { algorithm, log, place }
    }
}

impl<A: Algorithm> Algorithm for Watched<A> {
    fn update(
        &mut self,
        agent: &mut ActorCritic,
        batch: &Batch,
        ctx: &mut UpdateContext<'_>,
    ) -> Result<Report, AlgoError> {
        let mut starts = self.log.lock().unwrap();
        let start = &mut starts[self.place];
        if start.transitions == 0 {
            start.theta = agent.theta().to_vec();
            let row = batch.rollout.observations.len() / batch.rollout.n_steps;
            start.observations = batch.rollout.observations[..row].to_vec();
        }
        start.transitions += batch.rollout.n_transitions();
        drop(starts);
        self.algorithm.update(agent, batch, ctx)
    }
}

#[test]
fn algorithms_start_alike_and_get_the_same_budget() {
    let log = Log::default();
    let mut algorithms = AlgorithmRegistry::new();
    let (of_ppo, of_trpo) = (log.clone(), log.clone());
    let ppo = AlgorithmSpec::new("ppo", "", move |config: PpoConfig| {
        Ok(Watched::new("ppo", Ppo::new(config)?, of_ppo.clone()))
    });
    let trpo = AlgorithmSpec::new("trpo", "", move |config: TrpoConfig| {
        Ok(Watched::new("trpo", Trpo::new(config)?, of_trpo.clone()))
    });
    algorithms.register(ppo.with_schema(PpoConfig::schema())).unwrap();
    algorithms.register(trpo.with_schema(TrpoConfig::schema())).unwrap();

    let out = tempfile::tempdir().unwrap();
    let args = "rl compare trpo ppo ppo:net_arch=[8],n_envs=2 --preset sb3 --env Pendulum-v1 --n-envs 3 --set n_steps=100 \
                --set batch_size=100 --total-steps 1000 --seeds 2 --threads 1 --no-eval --quiet --out";
    let args = args.split_whitespace().map(str::to_owned).chain([out.path().display().to_string()]);
    let code = rl_cli::main_with_args(args, rl_env::Registry::builtin(), algorithms);
    assert_eq!(format!("{code:?}"), format!("{:?}", std::process::ExitCode::SUCCESS));

    // Planning makes algorithms too, which see nothing.
    let mut starts = log.lock().unwrap();
    starts.retain(|start| start.transitions > 0);
    let algos: Vec<&str> = starts.iter().map(|start| start.algo).collect();
    assert_eq!(algos, ["trpo", "ppo", "ppo", "trpo", "ppo", "ppo"]);
    for of_seed in starts.chunks(3) {
        let [trpo, ppo, small] = of_seed else { panic!("three runs of a seed") };
        assert_eq!(trpo.theta, ppo.theta);
        assert_eq!(trpo.observations, ppo.observations);
        assert_eq!((trpo.transitions, ppo.transitions), (1200, 1200));
        // With another network, and with fewer environments, the first of them start alike.
        assert!(small.theta.len() < ppo.theta.len());
        assert_eq!((small.observations.len(), small.transitions), (6, 1000));
        assert_eq!(small.observations, ppo.observations[..6]);
    }
    assert_ne!(starts[0].theta, starts[3].theta);
    assert_ne!(starts[0].observations, starts[3].observations);
}
