//! A user's own program: the whole command line, with an environment that breaks and an algorithm that learns nothing.

use std::fs::File;
use std::io::Write;
use std::process::ExitCode;

use rl_algo::{ActorCritic, AlgoError, Algorithm, AlgorithmSpec, Batch, Outcome, Report, UpdateContext};
use rl_cli::RunContext;
use rl_env::envs::CartPole;
use rl_env::{Env, EnvError, EnvRng, EnvSpec, Space, Step};
use rl_nn::{NnError, State};
use rl_train::{Event, RunInfo, Sink, SinkError, Verdict, Watcher};

/// CartPole whose cable breaks at step 300.
struct Faulty {
    pole: CartPole,
    steps: u32,
}

impl Env for Faulty {
    type Action = usize;

    fn observation_space(&self) -> Space {
        Env::observation_space(&self.pole)
    }

    fn action_space(&self) -> Space {
        Env::action_space(&self.pole)
    }

    fn reset(&mut self, rng: &mut EnvRng, obs: &mut [f32]) -> Result<(), EnvError> {
        Env::reset(&mut self.pole, rng, obs)
    }

    fn step(&mut self, action: &usize, rng: &mut EnvRng, obs: &mut [f32]) -> Result<Step, EnvError> {
        self.steps += 1;
        if self.steps > 300 {
            return Err(EnvError::Other("the cable broke".into()));
        }
        Env::step(&mut self.pole, action, rng, obs)
    }
}

/// CartPole that never begins.
struct Stuck(CartPole);

impl Env for Stuck {
    type Action = usize;

    fn observation_space(&self) -> Space {
        Env::observation_space(&self.0)
    }

    fn action_space(&self) -> Space {
        Env::action_space(&self.0)
    }

    fn reset(&mut self, _: &mut EnvRng, _: &mut [f32]) -> Result<(), EnvError> {
        Err(EnvError::Other("the door is stuck".into()))
    }

    fn step(&mut self, action: &usize, rng: &mut EnvRng, obs: &mut [f32]) -> Result<Step, EnvError> {
        Env::step(&mut self.0, action, rng, obs)
    }
}

/// CartPole whose masks are written beyond their end.
struct Masked(CartPole);

impl Env for Masked {
    type Action = usize;

    fn observation_space(&self) -> Space {
        Env::observation_space(&self.0)
    }

    fn action_space(&self) -> Space {
        Env::action_space(&self.0)
    }

    fn action_mask(&self, mask: &mut [bool]) -> bool {
        mask[2] = true;
        true
    }

    fn reset(&mut self, rng: &mut EnvRng, obs: &mut [f32]) -> Result<(), EnvError> {
        Env::reset(&mut self.0, rng, obs)
    }

    fn step(&mut self, action: &usize, rng: &mut EnvRng, obs: &mut [f32]) -> Result<Step, EnvError> {
        Env::step(&mut self.0, action, rng, obs)
    }
}

/// Leaves the agent as it is, and says so but for the first time; with an ambition below 0 the first time too.
struct Lazy {
    ambition: f64,
    updates: u32,
}

#[derive(Default, serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
struct LazyConfig {
    ambition: f64,
}

/// Ruins the policy, and does not notice.
struct Ruinous;

#[derive(Default, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct RuinousConfig {}

impl Algorithm for Ruinous {
    fn update(
        &mut self,
        agent: &mut ActorCritic,
        _: &Batch,
        _: &mut UpdateContext<'_>,
    ) -> Result<Report, AlgoError> {
        agent.theta_mut()[0] = f32::NAN;
        Ok(Report::new(Outcome::Applied))
    }
}

impl Algorithm for Lazy {
    fn update(
        &mut self,
        _: &mut ActorCritic,
        _: &Batch,
        _: &mut UpdateContext<'_>,
    ) -> Result<Report, AlgoError> {
        self.updates += 1;
        let outcome = match self.updates > 1 || self.ambition < 0.0 {
            true => Outcome::Rejected("not in the mood".to_owned()),
            false => Outcome::Applied,
        };
        Ok(Report { extra: vec![("mood", f64::NAN), ("naps", 1.0)], ..Report::new(outcome) })
    }
}

/// Notes what it hears in the directory of runs with the label `noted`; those with the label `deaf` get no sink.
struct Notes(Option<File>);

impl Notes {
    fn new(run: &RunContext<'_>) -> Result<Self, SinkError> {
        let label = run.info.settings.get("label").and_then(|label| label.as_str());
        if label == Some("deaf") {
            return Err(SinkError::Other("nobody listens".into()));
        }
        let Some(dir) = run.dir.filter(|_| label == Some("noted")) else { return Ok(Notes(None)) };
        let path = dir.join("notes.txt");
        let file = File::options().append(true).create(true).create_new(!run.goes_on).open(&path);
        Ok(Notes(Some(file.map_err(|source| SinkError::Io { path, source })?)))
    }
}

/// Ends runs with the label `brief` after three updates, those before an interruption included.
struct Brief {
    is_meant: bool,
    updates: u64,
}

impl Watcher for Brief {
    fn watch(&mut self, event: Event<'_>) -> Verdict {
        self.updates += u64::from(matches!(event, Event::Update(_)));
        match self.is_meant && self.updates >= 3 {
            true => Verdict::Stop("three updates are enough".to_owned()),
            false => Verdict::Continue,
        }
    }

    fn state(&self) -> Result<Option<State>, NnError> {
        State::new("Brief", 1).with("updates", self.updates).map(Some)
    }

    fn restore(&mut self, state: &State) -> Result<(), NnError> {
        self.updates = state.owned_by("Brief", 1)?.value("updates")?;
        Ok(())
    }
}

impl Sink for Notes {
    fn event(&mut self, event: Event<'_>) -> Result<(), SinkError> {
        let who = |info: &RunInfo| format!("{} {} {}", info.algo, info.env, info.seed);
        let line = match event {
            Event::RunStarted(info) => format!("{}, begun", who(info)),
            Event::RunResumed { info, step } => format!("{}, goes on at {step}", who(info)),
            Event::Update(update) => format!("update {}", update.step),
            Event::RunFinished(_) => "finished".to_owned(),
            _ => return Ok(()),
        };
        let Some(file) = &mut self.0 else { return Ok(()) };
        writeln!(file, "{line}").map_err(|e| SinkError::Other(e.into()))
    }
}

fn main() -> ExitCode {
    let faulty = EnvSpec::with_time_limit("Faulty-v0", 100, || Faulty { pole: CartPole::new(), steps: 0 });
    let stuck = EnvSpec::with_time_limit("Stuck-v0", 100, || Stuck(CartPole::new()));
    let lazy = AlgorithmSpec::new("lazy", "learns nothing", |config: LazyConfig| {
        Ok(Lazy { ambition: config.ambition, updates: 0 })
    });
    let ruinous = AlgorithmSpec::new("ruinous", "forgets everything", |_: RuinousConfig| Ok(Ruinous));
    rl_cli::App::new()
        .name("rl-under-test")
        .env(faulty)
        .env(stuck)
        .env(EnvSpec::with_time_limit("Masked-v0", 100, || Masked(CartPole::new())))
        .algorithm(lazy)
        .algorithm(ruinous)
        .builders(rl_tests::builders())
        .network("crossed", rl_tests::crossed)
        .network("torn", |_| panic!("the paper is torn"))
        .sink(Notes::new)
        .watcher(|run| {
            Ok(Brief {
                is_meant: run.info.settings.get("label").is_some_and(|label| label == "brief"),
                updates: 0,
            })
        })
        .main()
}
