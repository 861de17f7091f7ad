//! A run's settings as messages of TensorBoard's HParams plugin.
//!
//! Only the session's own messages: an experiment message would list the settings of one run, and the plugin takes the first
//! it finds for all; without one it gathers every setting and metric from the sessions.

use std::io;

use protobuf::Message;
use protobuf::well_known_types::Value;
use serde_json::Value as Setting;
use tensorboard_proto::api;
use tensorboard_proto::plugin_hparams::{HParamsPluginData, SessionEndInfo, SessionStartInfo};
use tensorboard_proto::summary::{Summary_Value, SummaryMetadata, SummaryMetadata_PluginData};
use tensorboard_proto::tensor::TensorProto;
use tensorboard_proto::tensor_shape::{TensorShapeProto, TensorShapeProto_Dim};
use tensorboard_proto::types::DataType;

use crate::{RunInfo, SinkError, Status};

/// Says with what settings the session began.
pub(super) fn session_start(info: &RunInfo, now: f64) -> Result<Summary_Value, SinkError> {
    let mut start = SessionStartInfo::new();
    let hparams = start.mut_hparams();
    for (key, setting) in &info.settings {
        hparams.insert(key.clone(), value(setting));
    }
    hparams.insert("algo".to_owned(), text(&info.algo));
    hparams.insert("env".to_owned(), text(&info.env));
    hparams.insert("seed".to_owned(), value(&Setting::from(info.seed)));
    start.set_start_time_secs(now);
    let mut data = HParamsPluginData::new();
    data.set_session_start_info(start);
    message("_hparams_/session_start_info", &data)
}

/// The settings as a table that TensorBoard's text page shows.
pub(super) fn settings_text(info: &RunInfo) -> Summary_Value {
    let cell = |text: &str| text.replace('|', "\\|");
    let mut table = String::from("| setting | value |\n|---|---|\n");
    let of_run = [("algo", info.algo.clone()), ("env", info.env.clone()), ("seed", info.seed.to_string())];
    for (key, value) in of_run {
        table += &format!("| {key} | {} |\n", cell(&value));
    }
    for (key, setting) in
        info.settings.iter().filter(|(key, _)| !["algo", "env", "seed"].contains(&key.as_str()))
    {
        table += &format!("| {key} | {} |\n", cell(&rl_algo::shown(setting)));
    }
    let mut plugin = SummaryMetadata_PluginData::new();
    plugin.set_plugin_name("text".to_owned());
    let mut metadata = SummaryMetadata::new();
    metadata.set_plugin_data(plugin);
    let mut tensor = TensorProto::new();
    tensor.set_dtype(DataType::DT_STRING);
    tensor.set_tensor_shape(one_element());
    tensor.set_string_val(vec![table.into_bytes()].into());
    let mut value = Summary_Value::new();
    value.set_tag("config".to_owned());
    value.set_metadata(metadata);
    value.set_tensor(tensor);
    value
}

/// Says how the session ended.
pub(super) fn session_end(status: Status, now: f64) -> Result<Summary_Value, SinkError> {
    let mut end = SessionEndInfo::new();
    end.set_status(match status {
        Status::Finished | Status::Stopped => api::Status::STATUS_SUCCESS,
        Status::Interrupted => api::Status::STATUS_UNKNOWN,
        Status::Failed => api::Status::STATUS_FAILURE,
    });
    end.set_end_time_secs(now);
    let mut data = HParamsPluginData::new();
    data.set_session_end_info(end);
    message("_hparams_/session_end_info", &data)
}

/// A value that is nothing but its metadata.
fn message(tag: &str, data: &HParamsPluginData) -> Result<Summary_Value, SinkError> {
    let mut plugin = SummaryMetadata_PluginData::new();
    plugin.set_plugin_name("hparams".to_owned());
    plugin.set_content(data.write_to_bytes().map_err(|e| SinkError::Other(io::Error::from(e).into()))?);
    let mut metadata = SummaryMetadata::new();
    metadata.set_plugin_data(plugin);
    let mut value = Summary_Value::new();
    value.set_tag(tag.to_owned());
    value.set_metadata(metadata);
    value.set_tensor(null_tensor());
    Ok(value)
}

/// TensorBoard's own placeholder: one zero.
fn null_tensor() -> TensorProto {
    let mut tensor = TensorProto::new();
    tensor.set_dtype(DataType::DT_FLOAT);
    tensor.set_tensor_shape(one_element());
    tensor.set_float_val(vec![0.0]);
    tensor
}

fn one_element() -> TensorShapeProto {
    let mut dim = TensorShapeProto_Dim::new();
    dim.set_size(1);
    let mut shape = TensorShapeProto::new();
    shape.mut_dim().push(dim);
    shape
}

fn value(setting: &Setting) -> Value {
    let mut value = Value::new();
    match setting {
        Setting::Null => return text("none"),
        Setting::Bool(x) => value.set_bool_value(*x),
        Setting::Number(x) => match x.as_f64() {
            Some(x) => value.set_number_value(x),
            None => return text(&x.to_string()),
        },
        Setting::String(x) => return text(x),
        Setting::Array(_) | Setting::Object(_) => return text(&setting.to_string()),
    }
    value
}

fn text(x: &str) -> Value {
    let mut value = Value::new();
    value.set_string_value(x.to_owned());
    value
}
