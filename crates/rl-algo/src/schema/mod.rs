//! What settings there are: key, what the value may be, default and where it comes from, and one line about each.

mod kind;

use std::borrow::Cow;

use rl_optim::Schedule;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

pub use kind::{Bounds, Kind};

use crate::{ConfigError, Settings};

/// On which scale a setting is varied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Scale {
    /// By differences.
    Linear,
    /// By factors.
    Log,
}

/// One setting.
#[derive(Clone, Debug, PartialEq)]
pub struct Setting {
    /// Its name.
    pub key: Cow<'static, str>,
    /// What its value may be.
    pub kind: Kind,
    /// On which scale it is varied.
    pub scale: Scale,
    /// Its default, in its one form.
    pub default: Value,
    /// Where the default comes from, such as `Stable-Baselines3`.
    pub source: Cow<'static, str>,
    /// One line about it.
    pub doc: Cow<'static, str>,
}

impl Setting {
    /// A setting on a linear scale; [`Schema::of`] adds its default.
    pub const fn new(key: &'static str, kind: Kind, doc: &'static str) -> Self {
        Setting {
            key: Cow::Borrowed(key),
            kind,
            scale: Scale::Linear,
            default: Value::Null,
            source: Cow::Borrowed(""),
            doc: Cow::Borrowed(doc),
        }
    }

    /// The same on a logarithmic scale.
    pub fn log(self) -> Self {
        Setting { scale: Scale::Log, ..self }
    }

    /// The same with a default that comes from elsewhere than those of the other settings.
    pub fn from_source(self, source: &'static str) -> Self {
        Setting { source: Cow::Borrowed(source), ..self }
    }

    /// The value in its one form.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] for a value that is not allowed.
    pub fn read(&self, value: &Value) -> Result<Value, ConfigError> {
        self.kind.read(value).ok_or_else(|| ConfigError {
            key: self.key.clone().into_owned(),
            value: shown(value),
            allowed: format!("{}{}", self.kind, self.kind.because(value)),
        })
    }
}

/// The settings of one config struct, in the order of its fields.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Schema {
    settings: Vec<Setting>,
}

impl Schema {
    /// The settings of a struct with these defaults, which come from `source` where a setting does not say otherwise.
    pub fn of(defaults: &impl Serialize, source: &'static str, settings: Vec<Setting>) -> Self {
        // Where one cannot be saved, every run of the algorithm is refused by its name (`AlgorithmSpec::make`).
        let defaults = try_to_settings(defaults).unwrap_or_default();
        let complete = |setting: Setting| {
            let default = defaults.get(&*setting.key).cloned().unwrap_or_default();
            let source = if setting.source.is_empty() { source.into() } else { setting.source };
            Setting { default, source, ..setting }
        };
        Schema { settings: settings.into_iter().map(complete).collect() }
    }

    /// What a struct with these defaults says of its settings by itself: their names, and their types as far as the defaults show them.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] for a default that cannot be saved.
    pub fn derived(defaults: &impl Serialize) -> Result<Self, ConfigError> {
        let setting = |(key, default): (String, Value)| Setting {
            key: key.into(),
            kind: Kind::like(&default),
            default,
            ..Setting::new("", Kind::Any, "")
        };
        Ok(Schema { settings: try_to_settings(defaults)?.into_iter().map(setting).collect() })
    }

    /// The setting of this name.
    pub fn get(&self, key: &str) -> Option<&Setting> {
        self.settings.iter().find(|setting| setting.key == key)
    }

    /// All settings, in order.
    pub fn iter(&self) -> impl Iterator<Item = &Setting> {
        self.settings.iter()
    }

    /// Every key with its default.
    pub fn defaults(&self) -> Settings {
        self.iter().map(|setting| (setting.key.clone().into_owned(), setting.default.clone())).collect()
    }

    /// The same without the settings that `elsewhere` holds.
    pub fn without(mut self, elsewhere: impl Fn(&str) -> bool) -> Self {
        self.settings.retain(|setting| !elsewhere(&setting.key));
        self
    }

    /// The same with another default where `defaults` has one, which comes from `source`.
    pub fn with_defaults(mut self, defaults: &Settings, source: &str) -> Self {
        for setting in &mut self.settings {
            if let Some(default) = defaults.get(&*setting.key) {
                (setting.default, setting.source) = (default.clone(), source.to_owned().into());
            }
        }
        self
    }

    /// Checks every value by itself; keys that may be missing are the struct's to know.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] with the first setting whose value is not allowed.
    pub fn check(&self, settings: &Settings) -> Result<(), ConfigError> {
        let mut given = self.iter().filter_map(|setting| Some((setting, settings.get(&*setting.key)?)));
        given.try_for_each(|(setting, value)| setting.read(value).map(|_| ()))
    }

    /// Where the schema is not that of a struct with these defaults: a key that one of them lacks, or a default that is not allowed. For
    /// tests.
    pub fn differs_from(&self, defaults: &impl Serialize) -> Option<String> {
        let defaults = to_settings(defaults);
        let undescribed = defaults.keys().find(|key| self.get(key).is_none());
        let unknown = self.iter().find(|setting| !defaults.contains_key(&*setting.key));
        match (undescribed, unknown) {
            (Some(key), _) => Some(format!("the schema lacks {key}")),
            (None, Some(setting)) => Some(format!("the struct lacks {}", setting.key)),
            (None, None) => self.check(&defaults).err().map(|e| format!("the default {e}")),
        }
    }
}

/// A config struct that says what settings it has.
///
/// ```
/// use rl_algo::{Bounds, Config, Kind, Schema, Setting};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Clone, Serialize, Deserialize)]
/// #[serde(default, deny_unknown_fields)]
/// struct TemperedConfig { temperature: f64 }
///
/// impl Default for TemperedConfig {
///     fn default() -> Self { TemperedConfig { temperature: 1.0 } }
/// }
///
/// impl Config for TemperedConfig {
///     fn schema() -> Schema {
///         let temperature = Setting::new("temperature", Kind::Real(Bounds::POSITIVE), "How even the choice is.");
///         Schema::of(&TemperedConfig::default(), "our experiments", vec![temperature.log()])
///     }
/// }
///
/// let error = TemperedConfig { temperature: -1.0 }.check().unwrap_err();
/// assert_eq!(error.to_string(), "temperature = -1.0: expected a positive number");
/// ```
pub trait Config: Clone + Default + Serialize + DeserializeOwned {
    /// What settings it has.
    fn schema() -> Schema;

    /// Its schedules by key, so that those that are functions are checked as well: over their whole course, although no settings hold them.
    fn schedules(&mut self) -> Vec<(&'static str, &mut Schedule)> {
        Vec::new()
    }

    /// Checks every setting by itself.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] with the first that is not allowed.
    fn check(&self) -> Result<(), ConfigError> {
        let (schema, mut written) = (Self::schema(), self.clone());
        for (key, schedule) in written.schedules() {
            let bounds = schema.get(key).and_then(|setting| setting.kind.of_schedule());
            bounds.map_or(Ok(()), |bounds| bounds.check_schedule(key, schedule))?;
            if schedule.is_custom() {
                *schedule = Schedule::Constant(schedule.at(0.5));
            }
        }
        schema.check(&try_to_settings(&written)?).map_err(|e| match e.value.as_str() {
            // Settings have no NaN and no infinity: in their place stands none.
            "none" => ConfigError { value: "NaN, infinity or none".to_owned(), ..e },
            _ => e,
        })
    }

    /// Every setting as a run writes it down: `"a function"` for a schedule that is one.
    fn written(&self) -> Settings {
        let mut plain = self.clone();
        let mut functions = Vec::new();
        for (key, schedule) in plain.schedules().into_iter().filter(|(_, schedule)| schedule.is_custom()) {
            *schedule = Schedule::Constant(0.0);
            functions.push((key.to_owned(), "a function".into()));
        }
        let mut settings = try_to_settings(&plain)
            .unwrap_or_else(|e| Settings::from_iter([(e.key.clone(), e.to_string().into())]));
        settings.extend(functions);
        settings
    }
}

/// A config struct as settings, every field present.
///
/// # Panics
///
/// If `config` does not serialise to a map of plain values, which a config struct always does unless a schedule in it is a function
/// ([`try_to_settings`]).
pub fn to_settings<C: Serialize>(config: &C) -> Settings {
    match serde_json::to_value(config) {
        Ok(Value::Object(map)) => map,
        other => panic!("a config struct serialises to a map, not to {other:?}"),
    }
}

/// A config struct as settings, where it may hold something that cannot be saved: a schedule that is a function.
///
/// # Errors
///
/// [`ConfigError`] naming the setting.
///
/// ```
/// use rl_optim::Schedule;
///
/// #[derive(serde::Serialize)]
/// struct MyConfig { learning_rate: Schedule }
///
/// let config = MyConfig { learning_rate: Schedule::custom(|remaining| 1e-3 * remaining * remaining) };
/// let error = rl_algo::try_to_settings(&config).unwrap_err().to_string();
/// assert!(error.starts_with("learning_rate = a function: expected what can be saved"), "{error}");
/// ```
pub fn try_to_settings<C: Serialize>(config: &C) -> Result<Settings, ConfigError> {
    let mut track = serde_path_to_error::Track::new();
    let serializer = serde_path_to_error::Serializer::new(serde_json::value::Serializer, &mut track);
    match config.serialize(serializer) {
        Ok(Value::Object(map)) => Ok(map),
        Ok(other) => Err(ConfigError {
            key: "the settings".to_owned(),
            value: shown(&other),
            allowed: "a struct of settings".to_owned(),
        }),
        Err(error) => Err(ConfigError {
            key: track.path().to_string(),
            value: "a function".to_owned(),
            allowed: format!("what can be saved ({error})"),
        }),
    }
}

/// A config struct from settings.
///
/// # Errors
///
/// [`ConfigError`] naming the key whose value is of the wrong type, or that the struct does not have.
pub fn from_settings<C: DeserializeOwned>(settings: &Settings) -> Result<C, ConfigError> {
    serde_path_to_error::deserialize(Value::Object(settings.clone())).map_err(|e| {
        let key = e.path().to_string();
        let value = settings.get(key.split(['[', '.']).next().unwrap_or_default()).unwrap_or(&Value::Null);
        let error = e.into_inner().to_string();
        let allowed = expected_in(&error).unwrap_or_else(|| format!("another value ({error})"));
        ConfigError { value: shown(value), key, allowed }
    })
}

/// What serde's message says that it expected instead of a value, in words, for the types that a setting may have.
fn expected_in(error: &str) -> Option<String> {
    if !error.starts_with("invalid ") {
        return None;
    }
    let (_, of) = error.rsplit_once("expected ")?;
    let up_to = |most: u64| Kind::Integer { from: 0, to: most as i64 }.to_string();
    let within = |least: i64, most: i64| Kind::Integer { from: least, to: most }.to_string();
    Some(match of {
        "usize" | "u64" | "u128" => Kind::integer_from(0).to_string(),
        "u8" => up_to(u8::MAX.into()),
        "u16" => up_to(u16::MAX.into()),
        "u32" => up_to(u32::MAX.into()),
        "i8" => within(i8::MIN.into(), i8::MAX.into()),
        "i16" => within(i16::MIN.into(), i16::MAX.into()),
        "i32" => within(i32::MIN.into(), i32::MAX.into()),
        "isize" | "i64" | "i128" => within(i64::MIN, i64::MAX),
        "f32" | "f64" => Kind::Real(Bounds::ANY).to_string(),
        "a boolean" => Kind::Bool.to_string(),
        "a string" => Kind::Text.to_string(),
        "a sequence" => "a list".to_owned(),
        "a map" => "a table".to_owned(),
        _ => return None,
    })
}

/// A value as errors and files show it: `none` for null, lists and tables as TOML writes them.
pub fn shown(value: &Value) -> String {
    match value {
        Value::Null => "none".to_owned(),
        Value::Array(list) => format!("[{}]", list.iter().map(shown).collect::<Vec<_>>().join(", ")),
        Value::Object(table) => {
            let parts: Vec<String> =
                table.iter().map(|(key, value)| format!("{key} = {}", shown(value))).collect();
            format!("{{ {} }}", parts.join(", "))
        }
        // Numbers and strings are written alike in JSON and TOML.
        value => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::json;

    use super::*;

    #[derive(Clone, Serialize, Deserialize)]
    #[serde(default, deny_unknown_fields)]
    struct Plain {
        ambition: f64,
        naps: usize,
        is_lazy: bool,
        limit: Option<f64>,
        name: String,
    }

    impl Default for Plain {
        fn default() -> Self {
            Plain { ambition: 0.5, naps: 3, is_lazy: true, limit: None, name: "sloth".to_owned() }
        }
    }

    #[test]
    fn a_plain_struct_has_a_schema_too() {
        let schema = Schema::derived(&Plain::default()).unwrap();
        assert_eq!(schema.differs_from(&Plain::default()), None);
        let read = |key: &str, value: Value| schema.get(key).unwrap().read(&value);
        assert_eq!(read("ambition", json!(1)).unwrap(), json!(1.0));
        assert_eq!(read("naps", json!(1e1)).unwrap(), json!(10));
        assert_eq!(read("limit", json!(2)).unwrap(), json!(2));
        assert_eq!(read("is_lazy", json!(1)).unwrap_err().to_string(), "is_lazy = 1: expected true or false");
        // What the defaults do not show, the struct says itself.
        let mut settings = to_settings(&Plain::default());
        settings["naps"] = json!(-1);
        let error = from_settings::<Plain>(&settings).err().unwrap().to_string();
        assert_eq!(error, "naps = -1: expected an integer from 0 up");
        let told = |key: &str, value: Value| {
            let mut settings = to_settings(&Plain::default());
            settings[key] = value;
            from_settings::<Plain>(&settings).err().unwrap().to_string()
        };
        assert_eq!(told("limit", json!("high")), "limit = \"high\": expected a number");
        assert_eq!(told("name", json!(3)), "name = 3: expected a text");
        assert_eq!(told("is_lazy", json!([1])), "is_lazy = [1]: expected true or false");
    }

    #[test]
    fn schema_and_struct_are_compared() {
        let naps = Setting::new("naps", Kind::Integer { from: 1, to: 2 }, "");
        let of = |settings| Schema::of(&Plain::default(), "", settings);
        let lacking = of(vec![naps.clone()]).differs_from(&Plain::default()).unwrap();
        assert_eq!(lacking, "the schema lacks ambition");
        let mut settings: Vec<Setting> =
            Schema::derived(&Plain::default()).unwrap().iter().cloned().collect();
        settings[1] = naps;
        let refused = of(settings.clone()).differs_from(&Plain::default()).unwrap();
        assert_eq!(refused, "the default naps = 3: expected an integer from 1 to 2");
        settings[1] = Setting::new("snacks", Kind::Any, "");
        assert!(of(settings).differs_from(&Plain::default()).is_some());
    }
}
