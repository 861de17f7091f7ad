//! A program of one's own around the command line.

use std::ffi::OsString;
use std::process::ExitCode;
use std::sync::Arc;

use rl_algo::{AlgorithmRegistry, AlgorithmSpec, FeatureNetwork, Features};
use rl_env::{EnvSpec, Registry, Space};
use rl_nn::{Builders, Network, NnError};
use rl_train::{Sink, SinkError, Watcher};

use crate::listeners::{Listeners, RunContext};
use crate::presets::{ANY, Preset, Presets};
use crate::settings::parse_value;
use crate::{Known, run_command_line};

/// The command line with what a program adds to it: environments, algorithms, networks, sinks of what a run tells, watchers that may end it, builders of saved
/// networks and distributions, presets, a name.
///
/// ```no_run
/// use std::process::ExitCode;
///
/// fn main() -> ExitCode {
///     let pole = rl_env::EnvSpec::with_time_limit("ShortPole-v0", 100, rl_env::envs::CartPole::new);
///     rl_cli::App::new().name("polecat").env(pole).main()
/// }
/// ```
#[derive(Clone, Debug)]
#[must_use = "`main` runs it"]
pub struct App {
    name: String,
    envs: Registry,
    algorithms: AlgorithmRegistry,
    builders: Builders,
    presets: Presets,
    networks: Vec<FeatureNetwork>,
    listeners: Listeners,
    /// What could not be added.
    faults: Vec<String>,
}

impl Default for App {
    fn default() -> Self {
        App::new()
    }
}

impl App {
    /// The built-in environments and algorithms, under the name `rl`.
    pub fn new() -> Self {
        let (presets, faults) = match Presets::builtin() {
            Ok(presets) => (presets, Vec::new()),
            Err(fault) => (Presets::default(), vec![format!("{fault:#}")]),
        };
        App {
            name: "rl".to_owned(),
            envs: Registry::builtin(),
            algorithms: crate::builtin_algorithms(),
            builders: Builders::default(),
            presets,
            networks: Vec::new(),
            listeners: Listeners::default(),
            faults,
        }
    }

    /// The name by which messages and help call the program: one word. The first program that runs in a process gives the name for all of it.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        if self.name.is_empty() || self.name.contains(char::is_whitespace) {
            self.faults
                .push(format!("App::name({:?}): expected one word, as it is called in a shell", self.name));
        }
        self
    }

    /// These environments instead of the present ones.
    pub fn environments(self, envs: Registry) -> Self {
        App { envs, ..self }
    }

    /// These algorithms instead of the present ones.
    pub fn algorithms(self, algorithms: AlgorithmRegistry) -> Self {
        App { algorithms, ..self }
    }

    /// What saved policies with networks or distributions of one's own are made by, instead of the present builders.
    pub fn builders(self, builders: Builders) -> Self {
        App { builders, ..self }
    }

    /// One more environment. Should its name be taken, [`main`](Self::main) says so and ends with exit code 1.
    pub fn env(mut self, spec: EnvSpec) -> Self {
        self.faults.extend(self.envs.register(spec).err().map(|e| e.to_string()));
        self
    }

    /// One more algorithm. Should its name be taken, [`main`](Self::main) says so and ends with exit code 1.
    pub fn algorithm(mut self, spec: AlgorithmSpec) -> Self {
        self.faults.extend(self.algorithms.register(spec).err().map(|e| e.to_string()));
        self
    }

    /// Settings of an algorithm in an environment under a name, as `--preset NAME` and `ALGO@NAME`: keys and values as in a file of settings. Where an
    /// environment has such a preset it is what is meant without a name; `*` stands for every environment. Should the name be taken, or the algorithm or the
    /// environment be unknown, [`main`](Self::main) says so and ends with exit code 1; a key or a value that the algorithm does not take is told when the preset
    /// is used.
    ///
    /// ```no_run
    /// # let corridor = rl_env::EnvSpec::with_time_limit("Corridor-v0", 50, rl_env::envs::CartPole::new);
    /// let tuned = [("n_steps", 64.into()), ("gamma", 0.95.into()), ("learning_rate", "lin_0.001".into())];
    /// rl_cli::App::new().env(corridor).preset("tuned", "ppo", "Corridor-v0", tuned).main();
    /// ```
    pub fn preset<'a>(
        mut self,
        name: &str,
        algo: &str,
        env: &str,
        settings: impl IntoIterator<Item = (&'a str, serde_json::Value)>,
    ) -> Self {
        let settings = settings.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
        let env = (env != ANY).then(|| env.to_owned());
        let (name, algo) = (name.to_owned(), algo.to_owned());
        let added = self.presets.add(Preset { name, algo, env, settings });
        self.faults.extend(added.err().map(|e| e.to_string()));
        self
    }

    /// One more network under a name, which `--set features=NAME` puts before the hidden layers of actor and critic. The function makes it for a space of
    /// observations, the same one every time, with as many inputs as [`Space::flat_len`] says: see [`FeatureNetwork::new`]. Policies with it are saved and loaded
    /// without more ado. Should the name be taken, or be one that the command line does not read as text,
    /// [`main`](Self::main) says so and ends with exit code 1.
    ///
    /// ```no_run
    /// use std::sync::Arc;
    /// use rl_nn::{Activation, Mlp};
    ///
    /// rl_cli::App::new()
    ///     .network("wide", |observations| {
    ///         Ok(Arc::new(Mlp::trunk(&[observations.flat_len(), 512], Activation::Relu)?))
    ///     })
    ///     .main(); // train ppo CartPole-v1 --set features=wide --set 'net_arch=[64]'
    /// ```
    pub fn network(
        mut self,
        name: &str,
        make: impl Fn(&Space) -> Result<Arc<dyn Network<f32>>, NnError> + Send + Sync + 'static,
    ) -> Self {
        let is_taken = !matches!(Features::from(name.to_owned()), Features::Own(_))
            || self.networks.iter().any(|network| network.name() == name);
        if is_taken {
            self.faults.push(format!("network {name:?} is already registered"));
        } else if name.trim() != name || name.is_empty() || parse_value(name) != name {
            self.faults.push(format!("network {name:?}: expected a name that is text on the command line"));
        } else {
            self.networks.push(FeatureNetwork::new(name, make));
        }
        self
    }

    /// One more sink for every run of `train` and `compare`, beside TensorBoard's and `progress.csv`. The function makes it when a run begins or goes on, and
    /// is given what is known of the run then; runs of a comparison make theirs on several threads. What it fails with ends the run.
    ///
    /// ```no_run
    /// use rl_train::{Event, Sink, SinkError};
    ///
    /// struct Bell;
    /// impl Sink for Bell {
    ///     fn event(&mut self, event: Event<'_>) -> Result<(), SinkError> {
    ///         if let Event::RunFinished(summary) = event {
    ///             println!("\u{7}{:?}", summary.mean_return_100);
    ///         }
    ///         Ok(())
    ///     }
    /// }
    /// rl_cli::App::new().sink(|_run| Ok(Bell)).main();
    /// ```
    pub fn sink<S: Sink + 'static>(
        mut self,
        make: impl Fn(&RunContext<'_>) -> Result<S, SinkError> + Send + Sync + 'static,
    ) -> Self {
        self.listeners.push_sink(make);
        self
    }

    /// One more watcher for every run of `train` and `compare`, which may end it early. The function makes it when a run begins or goes on, and is given what is
    /// known of the run then, its settings too; runs of a comparison make theirs on several threads.
    ///
    /// ```no_run
    /// use rl_train::NoImprovement;
    ///
    /// rl_cli::App::new().watcher(|_run| Ok(NoImprovement::for_evaluations(5))).main();
    /// ```
    pub fn watcher<W: Watcher + 'static>(
        mut self,
        make: impl Fn(&RunContext<'_>) -> Result<W, SinkError> + Send + Sync + 'static,
    ) -> Self {
        self.listeners.push_watcher(make);
        self
    }

    /// Runs the command line of the process, and says how the process should end: 0 for success, 1 when something failed, 2 for a command line that
    /// cannot be used, 130 when interrupted.
    #[must_use]
    pub fn main(self) -> ExitCode {
        self.main_with_args(std::env::args_os())
    }

    /// The same for a command line of one's own, which begins with the program's name.
    #[must_use]
    pub fn main_with_args(self, args: impl IntoIterator<Item = impl Into<OsString> + Clone>) -> ExitCode {
        let App { name, envs, algorithms, builders, presets, networks, listeners, mut faults } = self;
        faults.extend(presets.faults(&envs, &algorithms));
        let builders = networks.iter().fold(builders, |builders, network| network.add_to(builders));
        let known = Known { envs, algorithms, builders, presets, networks, listeners };
        run_command_line(args, &name, &known, &faults)
    }
}
