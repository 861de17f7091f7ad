//! The report: one page that needs nothing else.

use std::fmt::Write;

use rand::Rng;
use rl_stats::MIN_RUNS;

use crate::chart::Chart;
use crate::html::escaped;
use crate::panels::{Section, charts, slug};
use crate::scale::value;
use crate::study::{Column, Estimate, Reaching, Run, Study, Task};
use crate::svg::COLOURS;

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// A report of runs as a page: style, script and data in one file, that makes no request.
pub fn page(study: &Study, rng: &mut impl Rng) -> String {
    let title = title(study);
    let sections: Vec<(&Task, Vec<(Section, Chart)>)> =
        study.tasks.iter().map(|task| (task, charts(study, task, rng))).collect();
    let has = |section| sections.iter().any(|(_, charts)| charts.iter().any(|(of, _)| *of == section));
    let source = if has(Section::Evaluation) { "evaluation" } else { "training" };
    let mut body = header(study, &title);
    body += &controls(study, has(Section::Evaluation) && has(Section::Training));
    body += "<main class=\"wrap\">";
    body += &failures(study);
    sections.iter().for_each(|(task, charts)| body += &of_task(study, task, charts));
    body += &reproduction(study);
    body += "</main>";
    let _ = write!(
        body,
        "<footer class=\"wrap\">Made by {}. {} Everything is in this file.</footer>",
        escaped(&study.program),
        on_intervals(study)
    );
    document(&title, &body, &format!("stat-iqm src-{source}"), study.names().len())
}

/// A page around a body: its style, its script, and what hides each column.
pub(crate) fn document(title: &str, body: &str, classes: &str, columns: usize) -> String {
    let hides: String = (0..columns).map(|k| format!(":root.js .off-k{k} .k{k}{{display:none}}")).collect();
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<link rel=\"icon\" href=\"data:,\">\n<script>document.documentElement.classList.add(\"js\")</script>\n<title>{}</title>\n<style>\n{STYLE}{hides}</style>\n</head>\n\
         <body class=\"{classes}\">\n{body}\n<script>\n{SCRIPT}</script>\n</body>\n</html>\n",
        escaped(title)
    )
}

/// What was compared, in a line.
pub(crate) fn title(study: &Study) -> String {
    let envs: Vec<&str> = study.tasks.iter().map(|task| task.env.as_str()).collect();
    let few = |names: &[&str], more: &str| match names {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [first @ .., last] if names.len() <= 4 => format!("{} and {last}", first.join(", ")),
        _ => format!("{} {more}", names.len()),
    };
    format!("{} on {}", few(&study.names(), "variants"), few(&envs, "environments"))
}

fn header(study: &Study, title: &str) -> String {
    let runs: usize = study.tasks.iter().flat_map(|task| &task.columns).map(|column| column.runs.len()).sum();
    let mut seeds: Vec<usize> =
        study.tasks.iter().flat_map(|task| &task.columns).map(|column| column.runs.len()).collect();
    seeds.sort_unstable();
    seeds.dedup();
    let seeds = match seeds[..] {
        [1] => "one run each".to_owned(),
        [n] => format!("{n} seeds each"),
        [few, .., many] => format!("{few} to {many} seeds each"),
        [] => "no run".to_owned(),
    };
    let took = study.effort.map_or_else(String::new, |(at_once, seconds)| {
        let beside = if at_once == 1 {
            "one at a time".to_owned()
        } else {
            format!("{at_once} at once, so seconds are those of runs that shared the machine")
        };
        format!(" They took {} together, {beside}.", duration(seconds))
    });
    let runs = if runs == 1 { "1 run".to_owned() } else { format!("{runs} runs, {seeds}") };
    // A name is not broken at its dashes.
    let words: Vec<String> = title.split(' ').map(|word| format!("<span>{}</span>", escaped(word))).collect();
    let mut text = format!("<header class=\"wrap\"><h1>{}</h1><p>{runs}.{took}</p>", words.join(" "));
    if study.tasks.len() > 1 {
        let link = |task: &Task| format!("<a href=\"#{}\">{}</a>", slug(&task.env), escaped(&task.env));
        let links: Vec<String> = study.tasks.iter().map(link).collect();
        let _ = write!(text, "<p>{}</p>", links.join(" · "));
    }
    text + "</header>"
}

fn controls(study: &Study, has_both: bool) -> String {
    let mut nav = String::from("<nav><div class=\"wrap\"><div class=\"group\">");
    for (k, name) in study.names().iter().enumerate() {
        let _ = write!(
            nav,
            "<button class=\"column c{}\" data-off=\"off-k{k}\" aria-pressed=\"true\" title=\"{1}\">{1}</button>",
            k % COLOURS.len(),
            escaped(name)
        );
    }
    nav += "</div><div class=\"group\"><button data-off=\"no-seeds\" aria-pressed=\"true\">Seeds</button></div>\
            <div class=\"group segmented\"><button data-on=\"stat-iqm\" aria-pressed=\"true\">IQM</button>\
            <button data-on=\"stat-mean\" aria-pressed=\"false\">Mean</button></div>";
    if has_both {
        nav += "<div class=\"group segmented\"><button data-on=\"src-evaluation\" aria-pressed=\"true\">Evaluation</button>\
                <button data-on=\"src-training\" aria-pressed=\"false\">Training</button></div>";
    }
    nav + "<div class=\"group right\"><button id=\"theme\">Light / dark</button></div></div></nav>"
}

/// The runs that failed or are worth nothing, each by name.
fn failures(study: &Study) -> String {
    let mut items = String::new();
    let mut count = 0;
    for task in &study.tasks {
        for column in &task.columns {
            for run in
                column.runs.iter().filter(|run| run.has_failed() || run.error.is_some() || !run.is_done())
            {
                count += 1;
                let error = run.error.as_deref().unwrap_or("it has no end of its own");
                let _ = write!(
                    items,
                    "<li>{} on {}, {}: {}. {}</li>",
                    escaped(&column.name),
                    escaped(&task.env),
                    escaped(&run.name),
                    escaped(&run.status),
                    escaped(error)
                );
            }
        }
    }
    match count {
        0 => "<p class=\"soft\">No run failed.</p>".to_owned(),
        _ => format!(
            "<div class=\"alarm\" id=\"failed\"><p><b>{count} {} not end well.</b></p><ul>{items}</ul></div>",
            if count == 1 { "run did" } else { "runs did" }
        ),
    }
}

/// What the intervals are.
fn on_intervals(study: &Study) -> String {
    let mut columns = study.tasks.iter().flat_map(|task| &task.columns);
    let scores = if columns.any(|column| column.is_sequential) {
        "those of final performance hold whenever one stops adding seeds, all others are by bootstrap over seeds and hold for one look"
    } else {
        "by bootstrap over seeds"
    };
    let steps = if study.tasks.iter().any(|task| task.threshold.is_some()) {
        "; those of the steps to a threshold are of its Kaplan-Meier median, with a log-log transform"
    } else {
        ""
    };
    let fewest = study.tasks.iter().flat_map(|task| &task.columns).map(|column| column.runs.len());
    let caveat = fewest.filter(|n| *n >= MIN_RUNS).min().and_then(rl_stats::bootstrap_caveat);
    let caveat = caveat.map_or_else(String::new, |caveat| format!(" {caveat}"));
    format!(
        "Intervals are 95 %, {scores}{steps}; no interval by bootstrap is given from fewer than five.{caveat}"
    )
}

/// What the scores' intervals in a task are.
fn on_scores(task: &Task) -> &'static str {
    if task.columns.iter().any(|column| column.is_sequential) {
        "The mean return of each run's final evaluation, with 95 % intervals that hold whenever one stops adding seeds; profiles and comparisons of two have bootstrap intervals over seeds, which do not."
    } else {
        "The mean return of each run's final evaluation, with 95 % intervals by bootstrap over seeds."
    }
}

fn of_task(study: &Study, task: &Task, charts: &[(Section, Chart)]) -> String {
    let mut text =
        format!("<section class=\"task\" id=\"{}\"><h2>{}</h2>", slug(&task.env), escaped(&task.env));
    if let Some(threshold) = task.threshold {
        let _ =
            write!(text, "<p class=\"soft\">Counts as solved at a mean return of {}.</p>", value(threshold));
    }
    text += &table(study, task);
    text += &notes(&task.notes);
    let figures = |section: Section| -> String {
        charts.iter().filter(|(of, _)| *of == section).map(|(_, chart)| chart.to_html()).collect()
    };
    let mut part = |heading: &str, about: &str, class: &str, figures: String| {
        if !figures.is_empty() {
            let heading = if heading.is_empty() { String::new() } else { format!("<h3>{heading}</h3>") };
            let _ =
                write!(text, "<div class=\"{class}\">{heading}<p class=\"soft\">{about}</p>{figures}</div>");
        }
    };
    let in_grid = |figures: String, class: &str| {
        if figures.is_empty() { figures } else { format!("<div class=\"grid{class}\">{figures}</div>") }
    };
    let has_training = charts.iter().any(|(of, _)| *of == Section::Training);
    let has_evaluation = charts.iter().any(|(of, _)| *of == Section::Evaluation);
    part(
        "Learning curves",
        "Mean return of the deterministic policy in evaluations. Bold: the interquartile mean over seeds, or the mean, with its pointwise 95 % interval; thin: single seeds, or of more than 40 the areas that hold 50 % and 90 % of them. Drag to zoom.",
        if has_training { "of-evaluation" } else { "" },
        in_grid(figures(Section::Evaluation), ""),
    );
    part(
        "Learning curves",
        "Mean return of the last 100 episodes of training, with sampled actions. Bold: the interquartile mean over seeds, or the mean, with its pointwise 95 % interval; thin: single seeds, or of more than 40 the areas that hold 50 % and 90 % of them. Drag to zoom.",
        if has_evaluation { "of-training" } else { "" },
        in_grid(figures(Section::Training), ""),
    );
    part("What came out", on_scores(task), "", in_grid(figures(Section::Final), ""));
    part(
        "What updates did to the policy",
        "The same quantities on the same axes. Lines are medians over seeds, and bands hold the middle 80 % of them. Divergences are of the old policy from the new one.",
        "",
        in_grid(figures(Section::Trust), " three"),
    );
    part("Time", "", "", in_grid(figures(Section::Time), ""));
    text += &differences(task);
    text + "</section>"
}

fn table(study: &Study, task: &Task) -> String {
    let names = study.names();
    let mut text = String::from(
        "<div class=\"scroll\"><table><thead><tr><th>Algorithm</th><th>Preset</th><th class=\"n\">Runs</th><th class=\"n\">IQM</th>\
         <th class=\"n\">Mean ± std</th><th class=\"n\">Steps to threshold</th><th class=\"n\">Steps/s</th></tr></thead><tbody>",
    );
    for column in &task.columns {
        let number = names.iter().position(|name| *name == column.name).unwrap_or(0);
        let failed = column.runs.iter().filter(|run| run.has_failed()).count();
        let failed = if failed == 0 { String::new() } else { format!(" <small>({failed} failed)</small>") };
        let (iqm, mean) = match &column.withheld {
            Some(why) => (format!("<span title=\"{}\">withheld</span>", escaped(why)), "withheld".to_owned()),
            None => (estimate(column.iqm), with_std(column)),
        };
        let speeds: Vec<f64> = column.runs.iter().filter_map(|run: &Run| run.steps_per_second).collect();
        let speed =
            if speeds.is_empty() { "–".to_owned() } else { value(rl_stats::quantile(&speeds, 0.5)) };
        let _ = write!(
            text,
            "<tr class=\"k{number}\"><td class=\"name c{}\">{}</td><td>{}</td><td class=\"n\">{}{failed}</td><td class=\"n\">{iqm}</td><td class=\"n\">{mean}</td>\
             <td class=\"n\">{}</td><td class=\"n\">{speed}</td></tr>",
            number % COLOURS.len(),
            escaped(&column.name),
            escaped(&column.preset),
            column.runs.len(),
            column.steps_to_threshold.map_or_else(|| "–".to_owned(), reaching),
        );
    }
    text + "</tbody></table></div>"
}

fn estimate(estimate: Option<Estimate>) -> String {
    let Some(Estimate { value: x, ends }) = estimate else { return "–".to_owned() };
    match ends {
        Some((low, high)) => format!("<b>{}</b> <small>[{}, {}]</small>", value(x), value(low), value(high)),
        None => format!("<b>{}</b>", value(x)),
    }
}

fn reaching(reaching: Reaching) -> String {
    let Reaching { median, ends, reached, runs } = reaching;
    let steps = |x: Option<f64>| x.map_or_else(|| "–".to_owned(), |x| format!("{x:.0}"));
    let ends = ends
        .filter(|_| reached > 0)
        .map_or_else(String::new, |(low, high)| format!("[{}, {}], ", steps(low), steps(high)));
    format!("{} <small>{ends}{reached} of {runs} reach it</small>", steps(median))
}

fn with_std(column: &Column) -> String {
    match (column.mean, column.std) {
        (Some(mean), Some(std)) if std.is_finite() => format!("{} ± {}", value(mean.value), value(std)),
        (Some(mean), _) => value(mean.value),
        _ => "–".to_owned(),
    }
}

fn differences(task: &Task) -> String {
    if task.differences.is_empty() {
        return String::new();
    }
    let head: String =
        task.columns.iter().map(|column| format!("<th>{}</th>", escaped(&column.name))).collect();
    let mut text = format!(
        "<h3>Settings that differ</h3><p class=\"soft\">What differs between columns may be these, not the algorithms.</p>\
         <div class=\"scroll\"><table><thead><tr><th>Setting</th>{head}</tr></thead><tbody>"
    );
    for (key, values) in &task.differences {
        let cell = |column: &Column| {
            let own = values.iter().find(|(name, _)| *name == column.name).map_or("–", |(_, value)| value);
            format!("<td>{}</td>", escaped(own))
        };
        let cells: String = task.columns.iter().map(cell).collect();
        let _ = write!(text, "<tr><td>{}</td>{cells}</tr>", escaped(key));
    }
    text + "</tbody></table></div>"
}

fn reproduction(study: &Study) -> String {
    let mut text = String::from("<section class=\"task\" id=\"reproduce\"><h2>How to get this again</h2>");
    if !study.commands.is_empty() {
        let heading = if study.commands.len() == 1 { "The command:" } else { "The commands:" };
        let _ =
            write!(text, "<p class=\"soft\">{heading}</p><pre>{}</pre>", escaped(&study.commands.join("\n")));
    }
    text += &notes(&study.notes);
    let with_config = |task: &Task| task.columns.iter().any(|column| !column.config.is_empty());
    if study.tasks.iter().any(with_config) {
        let _ = write!(
            text,
            "<p class=\"soft\">The settings of every column, as <code>--config</code> takes them:</p>"
        );
    }
    for task in &study.tasks {
        for column in task.columns.iter().filter(|column| !column.config.is_empty()) {
            let _ = write!(
                text,
                "<details><summary>{} on {}</summary><pre>{}</pre></details>",
                escaped(&column.name),
                escaped(&task.env),
                escaped(&column.config)
            );
        }
    }
    text + "</section>"
}

fn notes(notes: &[String]) -> String {
    if notes.is_empty() {
        return String::new();
    }
    let items: String = notes.iter().map(|note| format!("<li>{}</li>", escaped(note))).collect();
    format!("<ul class=\"notes\">{items}</ul>")
}

fn duration(seconds: f64) -> String {
    match seconds {
        s if s < 120.0 => format!("{s:.1} s"),
        s if s < 7200.0 => format!("{:.1} min", s / 60.0),
        s => format!("{:.1} h", s / 3600.0),
    }
}
