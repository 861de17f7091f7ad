//! What a program puts together by itself: parts that do not fit, algorithms that break a rule, runs that are made longer.

use std::fs;

use rl_algo::{
    ActorCritic, AlgoError, Algorithm, Batch, NetConfig, Outcome, Report, Settings, UpdateContext,
};
use rl_env::{Action, BoxSpace, EnvSpec, Registry, Space};
use rl_nn::NnError;
use rl_ppo::{Ppo, PpoConfig};
use rl_train::{CheckpointConfig, Policy, RunDir, TrainConfig, Trainer, new_agent};

fn env(id: &str) -> EnvSpec {
    Registry::builtin().get(id).unwrap().clone()
}

fn config(total_steps: u64) -> TrainConfig {
    TrainConfig { n_envs: 2, n_steps: 32, total_steps, ..TrainConfig::default() }
}

fn ppo() -> Box<dyn Algorithm> {
    Box::new(Ppo::new(PpoConfig { n_epochs: 1, ..PpoConfig::default() }).unwrap())
}

fn agent(id: &str) -> ActorCritic {
    new_agent(&env(id), &NetConfig::default(), 1).unwrap()
}

#[test]
fn an_agent_with_another_number_of_choices_is_refused_when_it_is_put_in() {
    // Both see 4 numbers; one chooses among two actions, the other among three.
    let three = {
        let pole = env("CartPole-v1");
        let mut rng = rl_env::rng::stream(1, "init", 0);
        let space = Space::Discrete(3);
        ActorCritic::for_spaces(&pole.observation_space, &space, &NetConfig::default(), &mut rng).unwrap()
    };
    let error = Trainer::new(&env("CartPole-v1"), config(64), three, ppo(), 1).err().unwrap().to_string();
    assert_eq!(error, "choices of an action: the policy has 3, the environment 2");
    // Choices where reals are taken, and as many choices in other dimensions.
    let refused = |theirs: Space, ours: Space| {
        let observations = env("CartPole-v1").observation_space;
        let mut rng = rl_env::rng::stream(1, "init", 0);
        let agent = ActorCritic::for_spaces(&observations, &theirs, &NetConfig::default(), &mut rng).unwrap();
        rl_rollout::check_fit(agent.policy(), &observations, &ours).map_err(|e| e.to_string()).unwrap_err()
    };
    let reals: Space = BoxSpace::symmetric(&[1.0]).into();
    let told = "the policy's actions are choices, the environment's reals";
    assert_eq!(refused(Space::Discrete(2), reals.clone()), told);
    let told = "the policy's actions are reals, the environment's choices";
    assert_eq!(refused(reals, Space::Discrete(2)), told);
    let told = refused(Space::MultiDiscrete(vec![2, 3]), Space::MultiDiscrete(vec![3, 2]));
    assert!(told.starts_with("dimension 1 of the action has 2 choices in the environment"), "{told}");
    for id in ["CartPole-v1", "Pendulum-v1", "Nim-v0", "Lights-v0", "Crane-v0"] {
        Trainer::new(&env(id), config(64), agent(id), ppo(), 1).unwrap();
    }
}

/// Leaves NaN and says that all went well; has settings of the loop's names.
struct Careless;

impl Algorithm for Careless {
    fn update(
        &mut self,
        agent: &mut ActorCritic,
        _: &Batch,
        _: &mut UpdateContext<'_>,
    ) -> Result<Report, AlgoError> {
        agent.theta_mut()[3] = f32::NAN;
        Ok(Report::new(Outcome::Applied))
    }

    fn description(&self) -> (&str, Settings) {
        let own = serde_json::json!({"gamma": 7, "policy": "mine", "depth": 2});
        ("careless", own.as_object().cloned().unwrap())
    }
}

#[test]
fn an_algorithm_that_leaves_nan_is_named_and_its_settings_hide_none_of_the_runs() {
    let mut trainer =
        Trainer::new(&env("CartPole-v1"), config(640), agent("CartPole-v1"), Box::new(Careless), 1).unwrap();
    let settings = trainer.info().settings.clone();
    assert_eq!((&settings["gamma"], &settings["algorithm_gamma"]), (&0.99.into(), &7.into()));
    assert_eq!((&settings["algorithm_policy"], &settings["depth"]), (&"mine".into(), &2.into()));
    assert!(settings["policy"].is_object());
    let error = trainer.run().unwrap_err().to_string();
    assert!(error.starts_with("update 1 (from step 0)"), "{error}");
    assert!(error.contains("the update of \"careless\" left parameters that are not finite"), "{error}");
}

#[test]
fn an_agent_that_is_not_finite_is_refused_before_the_first_update() {
    let mut broken = agent("CartPole-v1");
    broken.theta_mut()[0] = f32::INFINITY;
    let error = Trainer::new(&env("CartPole-v1"), config(64), broken, ppo(), 1).unwrap().run().unwrap_err();
    assert_eq!(error.to_string(), "the agent that the run begins with has parameters that are not finite");
}

#[test]
fn a_longer_budget_is_in_the_configuration_of_a_run_that_goes_on() {
    let out = tempfile::tempdir().unwrap();
    let dir = RunDir::create(out.path(), "CartPole-v1", "ppo", 0).unwrap();
    let trainer = |budget| {
        Trainer::new(&env("CartPole-v1"), config(budget), agent("CartPole-v1"), ppo(), 1)
            .unwrap()
            .saving_in(dir.clone())
            .with_checkpoints(CheckpointConfig::tenths(budget))
    };
    let text = || fs::read_to_string(dir.file("config.toml")).unwrap();
    trainer(128).run().unwrap();
    let before = text().replace("total_steps = 128\n", "total_steps=128  # enough\n");
    let before = format!("# total_steps = 128 was too short\n{before}[note]\ntotal_steps = 128\n");
    fs::write(dir.file("config.toml"), &before).unwrap();
    trainer(256).resumed_from(&dir).unwrap().run().unwrap();
    assert_eq!(text(), before.replace("total_steps=128", "total_steps=256"));
    assert!(text() != before);
}

#[test]
fn a_policy_of_masked_actions_does_not_act_without_a_mask() {
    let out = tempfile::tempdir().unwrap();
    let dir = RunDir::create(out.path(), "Nim-v0", "ppo", 0).unwrap();
    let checkpoints = CheckpointConfig::tenths(64);
    let trainer = Trainer::new(&env("Nim-v0"), config(64), agent("Nim-v0"), ppo(), 1).unwrap();
    trainer.saving_in(dir.clone()).with_checkpoints(checkpoints).run().unwrap();
    let mut one = env("Nim-v0").make();
    let mut obs = vec![0.0; one.observation_space().flat_len()];
    one.reset(&mut rl_env::rng::stream(0, "test", 0), &mut obs).unwrap();
    let mut mask = vec![false; one.action_space().mask_len()];
    assert!(one.action_mask(&mut mask));
    let builders = rl_nn::Builders::default();
    let checkpoint = rl_train::Checkpoint::latest(&dir).unwrap();
    let at_checkpoint = Policy::from_checkpoint(&checkpoint, &builders).unwrap();
    for mut policy in [Policy::load(dir.path()).unwrap(), at_checkpoint] {
        assert!(matches!(policy.act(&obs, true), Err(NnError::MaskMissing)));
        let rl_nn::Actions::Discrete(action) = policy.act_masked(&obs, Some(&mask), true).unwrap() else {
            panic!("Nim's actions are choices");
        };
        assert!(one.action_space().allows(&mask, Action::Discrete(action).as_ref()));
        policy.act_masked(&obs, None, true).unwrap();
    }
}

#[test]
fn a_directory_of_another_run_is_not_begun_in() {
    let out = tempfile::tempdir().unwrap();
    let dir = RunDir::create(out.path(), "CartPole-v1", "ppo", 0).unwrap();
    let run = |seed: u64| {
        let agent = new_agent(&env("CartPole-v1"), &NetConfig::default(), seed).unwrap();
        let trainer = Trainer::new(&env("CartPole-v1"), config(128), agent, ppo(), seed).unwrap();
        trainer.saving_in(dir.clone()).with_checkpoints(CheckpointConfig::tenths(128)).run()
    };
    run(0).unwrap();
    let policy = || fs::read(dir.file("policy.safetensors")).unwrap();
    let before = policy();
    let error = run(7).unwrap_err().to_string();
    assert!(error.contains("a run is there already; Trainer::resumed_from goes on with it"), "{error}");
    assert_eq!(policy(), before);
}

#[test]
fn parts_that_mean_nothing_are_refused() {
    let out = tempfile::tempdir().unwrap();
    for (name, broken) in [
        ("freq", CheckpointConfig { freq: 0, ..CheckpointConfig::tenths(64) }),
        ("keep", CheckpointConfig { keep: 0, ..CheckpointConfig::tenths(64) }),
    ] {
        let dir = RunDir::create(out.path(), "CartPole-v1", name, 0).unwrap();
        let trainer = Trainer::new(&env("CartPole-v1"), config(64), agent("CartPole-v1"), ppo(), 1).unwrap();
        let error = trainer.saving_in(dir).with_checkpoints(broken).run().unwrap_err().to_string();
        assert_eq!(error, format!("{name} = 0: expected a whole number from 1 up"));
    }
    // As many advantages as there are rows.
    let agent = agent("CartPole-v1");
    let mut batch = Batch::new(&agent);
    let mut collector = rl_rollout::Collector::new(env("CartPole-v1").make_vec(2).unwrap(), 1).unwrap();
    collector.collect(agent.policy(), agent.policy_theta(), 8, &mut batch.rollout, &mut Vec::new()).unwrap();
    let error = batch.policy_batch(&agent, &[1.0, 2.0]).unwrap_err().to_string();
    assert_eq!(error, "the advantages has 2 elements, expected 16");
}

#[test]
fn an_episode_below_the_worst_return_is_told() {
    let run = |worst: f64| {
        let spec = env("CartPole-v1").with_worst_return(worst);
        let agent = new_agent(&spec, &NetConfig::default(), 1).unwrap();
        Trainer::new(&spec, config(640), agent, ppo(), 1).unwrap().run().unwrap().warnings
    };
    assert_eq!(run(0.0), Vec::<String>::new());
    // The sum of rewards that are rounded lies a little below: here at -3.0000000000000013, where -3 is the worst.
    let crane = env("Crane-v0");
    let mut trainer = Trainer::new(&crane, config(20_000), agent("Crane-v0"), ppo(), 1).unwrap();
    assert_eq!(trainer.run().unwrap().warnings, Vec::<String>::new());
    let told = run(50.0);
    assert!(told[0].contains("the worst return of CartPole-v1 is said to be 50"), "{told:?}");
}

/// Returns near the largest numbers there are have a mean and a spread that are numbers, so that a summary can be read again.
#[test]
fn returns_beyond_squares_have_a_spread() {
    use rl_env::{Env, EnvError, EnvRng, Step, StepEnd};

    #[derive(Default)]
    struct Vast(f64);
    impl Env for Vast {
        type Action = usize;
        fn observation_space(&self) -> Space {
            BoxSpace::uniform(0.0, 1.0, &[1]).into()
        }
        fn action_space(&self) -> Space {
            Space::Discrete(2)
        }
        fn reset(&mut self, rng: &mut EnvRng, obs: &mut [f32]) -> Result<(), EnvError> {
            self.0 = if rand::Rng::random::<bool>(rng) { 1e300 } else { -1.2e300 };
            obs[0] = 0.0;
            Ok(())
        }
        fn step(&mut self, _: &usize, _: &mut EnvRng, obs: &mut [f32]) -> Result<Step, EnvError> {
            obs[0] = 0.0;
            Ok(Step { reward: self.0, end: StepEnd::Terminated })
        }
    }
    let spec = EnvSpec::new("Vast-v0", Vast::default);
    let agent = new_agent(&spec, &NetConfig::default(), 1).unwrap();
    let policy = Policy::new("Vast-v0", 0, 0, agent.trained_policy().unwrap());
    let told = policy.evaluate(&spec, 50, rl_train::Acting::Deterministic).unwrap();
    assert!(told.mean.is_finite() && told.std > 1e299 && told.std < 1.2e300, "{told:?}");
}
