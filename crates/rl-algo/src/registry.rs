//! Algorithms by name, and their settings by key.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use rl_env::nearest;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::{AlgoError, Algorithm, ConfigError, Schema, check_setting, from_settings, shown};

/// Settings by key: numbers, strings, booleans, lists, and null for "none".
pub type Settings = Map<String, Value>;

type Make = dyn Fn(&Settings) -> Result<Box<dyn Algorithm>, AlgoError> + Send + Sync;

/// An algorithm that can be made by name.
#[derive(Clone)]
pub struct AlgorithmSpec {
    /// Its name on the command line.
    pub id: String,
    /// One line about it.
    pub about: String,
    /// Its settings; a key that is not here is not one of them.
    pub schema: Schema,
    /// What it has for defaults of settings that are not its own but the training loop's or the networks'.
    pub defaults_elsewhere: Settings,
    /// Other names of its settings: (alias, name).
    pub aliases: Vec<(&'static str, &'static str)>,
    make: Arc<Make>,
    /// What stands in the way of every run: a default that cannot be saved.
    fault: Option<ConfigError>,
}

impl AlgorithmSpec {
    /// An algorithm made from a config struct, whose `Default` gives the keys, their defaults and their types as far as those show them;
    /// [`with_schema`](Self::with_schema) says more.
    ///
    /// ```
    /// use rl_algo::{ActorCritic, AlgoError, Algorithm, AlgorithmSpec, Batch, Outcome, Report, UpdateContext};
    ///
    /// #[derive(Default, serde::Serialize, serde::Deserialize)]
    /// #[serde(default, deny_unknown_fields)]
    /// struct LazyConfig { learning_rate: f64 }
    ///
    /// struct Lazy(LazyConfig);
    /// impl Algorithm for Lazy {
    ///     fn update(&mut self, _: &mut ActorCritic, _: &Batch, _: &mut UpdateContext<'_>) -> Result<Report, AlgoError> {
    ///         Ok(Report::new(Outcome::Applied))
    ///     }
    /// }
    ///
    /// let spec = AlgorithmSpec::new("lazy", "does nothing", |config: LazyConfig| Ok(Lazy(config)));
    /// assert_eq!(spec.schema.defaults()["learning_rate"], 0.0);
    /// ```
    pub fn new<C, A>(
        id: &str,
        about: &str,
        make: impl Fn(C) -> Result<A, AlgoError> + Send + Sync + 'static,
    ) -> Self
    where
        C: Default + Serialize + DeserializeOwned,
        A: Algorithm + 'static,
    {
        let (schema, fault) = match Schema::derived(&C::default()) {
            Ok(schema) => (schema, None),
            Err(fault) => (Schema::default(), Some(fault)),
        };
        AlgorithmSpec {
            id: id.to_owned(),
            about: about.to_owned(),
            schema,
            fault,
            defaults_elsewhere: Settings::new(),
            aliases: Vec::new(),
            make: Arc::new(move |settings| Ok(Box::new(make(from_settings(settings)?)?))),
        }
    }

    /// The same with other names for some settings, as (alias, name).
    pub fn with_aliases(self, aliases: &[(&'static str, &'static str)]) -> Self {
        AlgorithmSpec { aliases: aliases.to_vec(), ..self }
    }

    /// The same with a schema that says what each value may be: that of its config struct ([`crate::Config::schema`]).
    pub fn with_schema(self, schema: Schema) -> Self {
        AlgorithmSpec { schema, ..self }
    }

    /// The same with other defaults of settings that are not its own: the training loop's, the networks'. The algorithm does not see them; whoever plans a run
    /// by its name does.
    pub fn with_defaults_elsewhere(self, defaults_elsewhere: Settings) -> Self {
        AlgorithmSpec { defaults_elsewhere, ..self }
    }

    /// Makes the algorithm. A setting that is missing has the schema's default.
    ///
    /// # Errors
    ///
    /// [`crate::ConfigError`] for a setting that is not in the schema or cannot be used, and for one whose default cannot be saved: every run by name
    /// leaves its settings.
    pub fn make(&self, settings: &Settings) -> Result<Box<dyn Algorithm>, AlgoError> {
        if let Some(fault) = &self.fault {
            return Err(fault.clone().into());
        }
        for (key, value) in settings {
            let known = self.schema.iter().map(|setting| &*setting.key);
            let hint =
                nearest(key, known).map(|known| format!(" (did you mean {known}?)")).unwrap_or_default();
            let allowed = format!("a setting of {}{hint}", self.id);
            check_setting(key, shown(value), &allowed, self.schema.get(key).is_some())?;
        }
        self.schema.check(settings)?;
        let mut all = self.schema.defaults();
        all.extend(settings.iter().map(|(key, value)| (key.clone(), value.clone())));
        (self.make)(&all)
    }
}

impl fmt::Debug for AlgorithmSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AlgorithmSpec")
            .field("id", &self.id)
            .field("schema", &self.schema)
            .finish_non_exhaustive()
    }
}

/// The known algorithms.
#[derive(Clone, Debug, Default)]
pub struct AlgorithmRegistry {
    specs: BTreeMap<String, AlgorithmSpec>,
}

impl AlgorithmRegistry {
    /// No algorithm yet.
    pub fn new() -> Self {
        AlgorithmRegistry::default()
    }

    /// Adds an algorithm.
    ///
    /// # Errors
    ///
    /// [`AlgoError::Duplicate`] when the name is taken, [`AlgoError::Config`] for one that is no word or that means something else on the command line.
    pub fn register(&mut self, spec: AlgorithmSpec) -> Result<(), AlgoError> {
        check_name(&spec.id)?;
        if self.specs.contains_key(&spec.id) {
            return Err(AlgoError::Duplicate(spec.id));
        }
        self.specs.insert(spec.id.clone(), spec);
        Ok(())
    }

    /// Looks an algorithm up.
    ///
    /// # Errors
    ///
    /// [`AlgoError::Unknown`] with the nearest known name.
    pub fn get(&self, id: &str) -> Result<&AlgorithmSpec, AlgoError> {
        self.specs.get(id).ok_or_else(|| AlgoError::Unknown {
            id: id.to_owned(),
            nearest: nearest(id, self.specs.keys().map(String::as_str)),
            known: self.specs.keys().cloned().collect(),
        })
    }

    /// All algorithms, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = &AlgorithmSpec> {
        self.specs.values()
    }
}

/// Refuses what is no word; what is written behind an algorithm's name, as in `ALGO@PRESET`, `ALGO:key=value` and `--set ALGO.key=value`; and what no
/// directory can be called everywhere.
fn check_name(id: &str) -> Result<(), ConfigError> {
    let other = |c: char| c.is_whitespace() || c.is_control() || "@:=,./\\?*\"<>|".contains(c);
    let is_word = !id.is_empty() && !id.starts_with('-') && !id.contains(other);
    let allowed = r#"the name of an algorithm: a word such as my-ppo, without @ : = , . / \ ? * " < > | and without a dash at its beginning"#;
    check_setting("algorithm", format!("{id:?}"), allowed, is_word)
}

#[cfg(test)]
mod tests {
    use rl_optim::Schedule;
    use serde::Deserialize;

    use super::*;
    use crate::{ActorCritic, Batch, Bounds, Config, Kind, Outcome, Report, Setting, UpdateContext};

    #[derive(Clone, Serialize, Deserialize)]
    #[serde(default)]
    struct BentConfig {
        naps: usize,
        learning_rate: Schedule,
    }

    impl Default for BentConfig {
        fn default() -> Self {
            BentConfig { naps: 2, learning_rate: Schedule::custom(|remaining| remaining * remaining) }
        }
    }

    impl Config for BentConfig {
        fn schema() -> Schema {
            let rate = Setting::new("learning_rate", Kind::Schedule(Bounds::POSITIVE), "");
            Schema::of(
                &BentConfig::default(),
                "",
                vec![Setting::new("naps", Kind::integer_from(1), ""), rate],
            )
        }
    }

    struct Bent;
    impl Algorithm for Bent {
        fn update(
            &mut self,
            _: &mut ActorCritic,
            _: &Batch,
            _: &mut UpdateContext<'_>,
        ) -> Result<Report, AlgoError> {
            Ok(Report::new(Outcome::Applied))
        }
    }

    /// Training, comparing and going on all make the algorithm first, and all leave its settings.
    #[test]
    fn a_default_that_cannot_be_saved_is_refused_by_name() {
        let plain = AlgorithmSpec::new("bent", "", |_: BentConfig| Ok(Bent));
        for spec in [plain.clone(), plain.with_schema(BentConfig::schema())] {
            let error = spec.make(&Settings::new()).err().unwrap().to_string();
            assert!(error.starts_with("learning_rate = a function: expected what can be saved"), "{error}");
            assert!(error.contains("give a number or a schedule that can be written"), "{error}");
        }
        let error = BentConfig::default().check().unwrap_err().to_string();
        assert!(error.starts_with("learning_rate = a function"), "{error}");
    }

    #[test]
    fn what_is_no_name_is_not_registered() {
        let mut known = AlgorithmRegistry::new();
        for id in [
            "", " ", "my ppo", "ppo\n", "ppo@zoo", "gym:x", "ppo:", "a=b", "a,b", "ppo.2", "a/b", "-v",
            "a\"b",
        ] {
            let error = known.register(AlgorithmSpec::new(id, "", |_: BentConfig| Ok(Bent))).unwrap_err();
            let told = error.to_string();
            let begins =
                format!("algorithm = {id:?}: expected the name of an algorithm: a word such as my-ppo");
            assert!(told.starts_with(&begins) && told.lines().count() == 1, "{told}");
            assert!(known.get(id).is_err());
        }
        for id in ["bent", "ppo-kl", "my_ppo2", "PPO+", "théorème"] {
            known.register(AlgorithmSpec::new(id, "", |_: BentConfig| Ok(Bent))).unwrap();
        }
        let again = known.register(AlgorithmSpec::new("bent", "", |_: BentConfig| Ok(Bent)));
        assert!(matches!(again, Err(AlgoError::Duplicate(_))));
    }

    #[test]
    fn what_is_missing_has_the_schemas_default() {
        #[derive(Serialize, Deserialize)]
        struct Naps {
            naps: usize,
        }
        impl Default for Naps {
            fn default() -> Self {
                Naps { naps: 1 }
            }
        }
        let make = |config: Naps| if config.naps == 3 { Ok(Bent) } else { Err(AlgoError::Incomplete) };
        let three = Settings::from_iter([("naps".to_owned(), 3.into())]);
        let spec = AlgorithmSpec::new("bent", "", make);
        assert!(spec.make(&Settings::new()).is_err());
        let schema = spec.schema.clone().with_defaults(&three, "the test");
        let spec = spec.with_schema(schema);
        assert!(spec.make(&Settings::new()).is_ok());
        let one = Settings::from_iter([("naps".to_owned(), 1.into())]);
        assert!(spec.make(&one).is_err());
    }
}
