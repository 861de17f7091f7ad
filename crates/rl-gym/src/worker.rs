//! One worker: a process of the user's interpreter that holds some environments.

use std::io::{Read, Write};
use std::ops::Range;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rl_env::Frame;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::description::Description;
use crate::layout::Layout;
use crate::memory::Memory;
use crate::processor::SameProcessor;
use crate::{GymError, GymName, Interpreter, spawner, system};

/// The program a worker runs, module by module in the order of their imports.
const PROGRAM: [(&str, &str); 5] = [
    ("rl_gym_guard", include_str!("../python/rl_gym_guard.py")),
    ("rl_gym_spaces", include_str!("../python/rl_gym_spaces.py")),
    ("rl_gym_making", include_str!("../python/rl_gym_making.py")),
    ("rl_gym_hosts", include_str!("../python/rl_gym_hosts.py")),
    ("rl_gym_worker", include_str!("../python/rl_gym_worker.py")),
];

/// What the interpreter is given on its command line: reads the program from standard input and runs it. The guard begins before anything
/// else is loaded, while the process is small and has one thread.
const LOADER: &str = "\
import os, sys, types
def take(n):
    data = b''
    while len(data) < n:
        part = os.read(0, n - len(data))
        if not part:
            os._exit(1)
        data += part
    return data.decode()
while (name := take(int(take(8)))):
    module = sys.modules[name] = types.ModuleType(name)
    module.__file__ = name + '.py'
    exec(compile(take(int(take(8))), module.__file__, 'exec'), module.__dict__)
    if name == 'rl_gym_guard':
        module.guard(0)
sys.modules['rl_gym_worker'].main()
";

/// How long a worker may take to close its environments before it is killed.
const GRACE: Duration = Duration::from_secs(2);

/// What a worker is to do.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Task {
    /// `make`, or `list` what is registered.
    pub(crate) task: &'static str,
    pub(crate) id: String,
    pub(crate) module: Option<String>,
    pub(crate) kwargs: serde_json::Map<String, Value>,
    pub(crate) wrappers: Vec<String>,
    pub(crate) vector: bool,
    /// The keys of `info` to tell.
    pub(crate) info: Vec<String>,
    /// How many environments.
    pub(crate) n: usize,
    /// Whether they start their next episode by themselves.
    pub(crate) autoreset: bool,
    /// Whether they are to draw themselves.
    pub(crate) render: bool,
    /// Whether the duration of a step is to be measured.
    pub(crate) measure: bool,
}

impl Task {
    /// Makes `n` environments that start their next episodes by themselves.
    pub(crate) fn make(name: &GymName, n: usize) -> Self {
        Task {
            task: "make",
            id: name.id.clone(),
            module: name.module.clone(),
            kwargs: name.options.kwargs.clone(),
            wrappers: name.options.wrappers.clone(),
            vector: name.is_vector,
            info: name.options.info.iter().map(|key| key_of(key).to_owned()).collect(),
            n,
            autoreset: true,
            render: false,
            measure: false,
        }
    }
}

/// The key itself of what is asked for of `info`.
fn key_of(asked: &str) -> &str {
    asked.split_once('=').map_or(asked, |(key, _)| key)
}

/// What a worker can be told, beside its end, which is that of its standard input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    Step,
    /// With the seeds in the memory.
    SeededReset,
    /// From where the environments' own generators are.
    Reset,
}

impl Order {
    fn byte(self) -> u8 {
        match self {
            Order::Step => b's',
            Order::SeededReset => b'r',
            Order::Reset => b'n',
        }
    }

    fn name(self) -> &'static str {
        if self == Order::Step { "step" } else { "reset" }
    }
}

/// An error of a worker, and the row of the environment it is about where it is about one.
pub(crate) struct Failure {
    pub(crate) row: Option<usize>,
    pub(crate) error: GymError,
}

impl From<GymError> for Failure {
    fn from(error: GymError) -> Self {
        Failure { row: None, error }
    }
}

/// A process and the pipes to it.
pub(crate) struct Worker {
    child: Child,
    /// How it ended, once it has been waited for: its number is then another's to have.
    ended: Option<ExitStatus>,
    commands: Option<ChildStdin>,
    replies: ChildStdout,
    python: String,
    name: String,
    /// The numbers of its environments.
    pub(crate) envs: Range<usize>,
    timeout: Duration,
    pub(crate) layout: Layout,
    pub(crate) memory: Memory,
    /// What it was told last.
    doing: &'static str,
    pub(crate) processor: SameProcessor,
}

impl Worker {
    /// Starts the process and tells it what to make; [`described`](Worker::described) hears what came of it, so that several start at a time.
    pub(crate) fn start(
        interpreter: &Interpreter,
        name: &str,
        first: usize,
        task: &Task,
    ) -> Result<Self, GymError> {
        let python = interpreter.python.to_string_lossy().into_owned();
        let start = |source| GymError::Start { python: python.clone(), source };
        let mut command = Command::new(&interpreter.python);
        command.args(["-c", LOADER]).stdin(Stdio::piped()).stdout(Stdio::piped());
        system::in_own_group(&mut command);
        let mut child = spawner::spawn(command).map_err(start)?;
        let (Some(commands), Some(replies)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(GymError::Protocol("without pipes".into()));
        };
        let mut worker = Worker {
            child,
            ended: None,
            commands: Some(commands),
            replies,
            name: name.to_owned(),
            envs: first..first + task.n,
            timeout: interpreter.timeout,
            layout: Layout::new(0, &rl_env::Space::MultiBinary(0), &rl_env::Space::MultiBinary(0), 0),
            memory: Memory::local(0),
            doing: "start",
            processor: SameProcessor::default(),
            python,
        };
        let mut text = Vec::new();
        for part in PROGRAM.iter().flat_map(|(name, source)| [*name, *source]).chain([""]) {
            text.extend_from_slice(format!("{:08}", part.len()).as_bytes());
            text.extend_from_slice(part.as_bytes());
        }
        text.extend_from_slice(&line(task)?);
        worker.send(&text)?;
        Ok(worker)
    }

    /// Has it share a processor with the thread that gives it orders, from now on.
    pub(crate) fn share_processor(&mut self) {
        self.processor = SameProcessor::of(self.child.id());
    }

    /// What it has made.
    pub(crate) fn described(&mut self) -> Result<Vec<u8>, Failure> {
        match self.reply()? {
            Reply::Message(json) => Ok(json),
            Reply::Done => Err(GymError::Protocol("with nothing to a question".into()).into()),
        }
    }

    /// Settles on the memory that both sides see, or on the pipe where `pipe_only` or where there is none.
    pub(crate) fn attach(&mut self, description: &Description, pipe_only: bool) -> Result<(), Failure> {
        let n = self.envs.len();
        let Description { observation_space, action_space, metrics, .. } = description;
        self.layout = Layout::new(n, observation_space, action_space, metrics.len());
        let size = self.layout.size;
        let shared = if pipe_only { None } else { Memory::shared(size) };
        self.memory = shared.unwrap_or_else(|| Memory::local(size));
        if let Err(refused) = self.propose_memory() {
            if self.memory.path().is_none() {
                return Err(refused);
            }
            // A worker in another container sees no path of ours.
            self.memory = Memory::local(size);
            self.propose_memory()?;
        }
        Ok(())
    }

    fn propose_memory(&mut self) -> Result<(), Failure> {
        let plan = json!({
            "memory": self.memory.path(),
            "size": self.layout.size,
            "input_size": self.layout.input_size,
            "layout": self.layout,
        });
        self.doing = "share memory";
        self.send(&line(&plan)?)?;
        self.reply()?;
        Ok(())
    }

    /// Tells it what to do next; what it needs to know lies in the memory.
    pub(crate) fn tell(&mut self, order: Order) -> Result<(), GymError> {
        self.doing = order.name();
        let input_size = self.layout.input_size;
        match self.memory.sent() {
            None => self.send(&[order.byte()]),
            Some(memory) => {
                let message = [&[order.byte()], &memory[..input_size]].concat();
                self.send(&message)
            }
        }
    }

    /// Waits until it has done so; the results lie in the memory.
    pub(crate) fn wait(&mut self) -> Result<(), Failure> {
        match self.reply()? {
            Reply::Message(_) => Err(GymError::Protocol("with a message to an order".into()).into()),
            Reply::Done => {
                let Some(memory) = self.memory.sent() else { return Ok(()) };
                let mut outputs = vec![0; memory.len() - self.layout.input_size];
                self.receive(&mut outputs)?;
                self.memory.write(self.layout.input_size, &outputs);
                Ok(())
            }
        }
    }

    /// A picture of its environment `row`; `None` where there is none.
    pub(crate) fn draw(&mut self, row: usize) -> Result<Option<Frame>, GymError> {
        self.doing = "render";
        let row = u32::try_from(row).map_err(|e| GymError::Protocol(e.to_string()))?;
        self.send(&[&b"p"[..], &row.to_ne_bytes()].concat())?;
        let (height, width) = (self.number()?, self.number()?);
        if width == 0 || height == 0 {
            return Ok(None);
        }
        let mut rgb = vec![0; 3 * width as usize * height as usize];
        self.receive(&mut rgb)?;
        Ok(Some(Frame { width, height, rgb }))
    }

    /// Lets it close its environments; dropping it waits for that.
    pub(crate) fn close(&mut self) {
        self.commands = None;
    }

    fn reply(&mut self) -> Result<Reply, Failure> {
        let mut kind = [0];
        self.receive(&mut kind)?;
        match kind[0] {
            b'.' => Ok(Reply::Done),
            b'{' => Ok(Reply::Message(self.message()?)),
            b'!' => {
                let message = self.message()?;
                let fault: Fault =
                    serde_json::from_slice(&message).map_err(|e| GymError::Protocol(e.to_string()))?;
                Err(self.failure(fault))
            }
            other => Err(GymError::Protocol(format!("with the byte {other}")).into()),
        }
    }

    fn failure(&self, fault: Fault) -> Failure {
        let Fault { kind, doing, row, message, trace } = fault;
        let error = match &*kind {
            "no_gymnasium" => GymError::NoGymnasium { python: self.python.clone(), reason: message },
            "shape" => GymError::Contract { doing, reason: message },
            "raised" => {
                let seed = row.filter(|row| *row < self.layout.n).map(|row| self.seed(row));
                GymError::Raised { doing, message, trace, seed }
            }
            _ => GymError::Refused { env: self.name.clone(), reason: message },
        };
        Failure { row, error }
    }

    /// The seed that the environment in a row was given at its first reset.
    fn seed(&self, row: usize) -> u64 {
        let mut seed = [0; 8];
        self.memory.read(self.layout.seeds + 8 * row, &mut seed);
        u64::from_ne_bytes(seed)
    }

    fn message(&mut self) -> Result<Vec<u8>, GymError> {
        let length = self.number()?;
        let mut message = vec![0; length as usize];
        self.receive(&mut message)?;
        Ok(message)
    }

    fn number(&mut self) -> Result<u32, GymError> {
        let mut bytes = [0; 4];
        self.receive(&mut bytes)?;
        Ok(u32::from_ne_bytes(bytes))
    }

    fn send(&mut self, bytes: &[u8]) -> Result<(), GymError> {
        let Some(commands) = &mut self.commands else {
            return Err(self.died());
        };
        match commands.write_all(bytes) {
            Err(e) if e.kind() == std::io::ErrorKind::BrokenPipe => Err(self.died()),
            sent => Ok(sent?),
        }
    }

    fn receive(&mut self, mut bytes: &mut [u8]) -> Result<(), GymError> {
        let deadline = Instant::now() + self.timeout;
        while !bytes.is_empty() {
            if !system::wait_readable(&self.replies, deadline)? {
                self.commands = None;
                system::kill_group(&mut self.child);
                let (envs, seconds) = (self.envs.clone(), self.timeout.as_secs());
                return Err(GymError::Timeout { envs, doing: self.doing.into(), seconds });
            }
            match self.replies.read(bytes)? {
                0 => return Err(self.died()),
                n => bytes = &mut bytes[n..],
            }
        }
        Ok(())
    }

    fn died(&mut self) -> GymError {
        self.commands = None;
        // Its number may soon be another's.
        self.processor = SameProcessor::default();
        let status = match self.ended_within(GRACE) {
            Some(status) => status.to_string(),
            None => "its pipe was closed".to_owned(),
        };
        GymError::Died { envs: self.envs.clone(), doing: self.doing.to_owned(), status }
    }

    fn ended_within(&mut self, time: Duration) -> Option<ExitStatus> {
        let deadline = Instant::now() + time;
        let mut pause = Duration::from_micros(200);
        while self.ended.is_none() {
            if system::has_ended(&mut self.child) {
                // What an environment has started may still run, and the group is surely this one until its leader is waited for.
                system::kill_group(&mut self.child);
                self.ended = self.child.wait().ok();
                break;
            }
            if Instant::now() >= deadline {
                return None;
            }
            std::thread::sleep(pause);
            pause = (2 * pause).min(Duration::from_millis(20));
        }
        self.ended
    }
}

impl Drop for Worker {
    /// Nothing is left behind: what does not end with its pipe is killed, with whatever it started.
    fn drop(&mut self) {
        self.close();
        if self.ended_within(GRACE).is_none() {
            system::kill_group(&mut self.child);
            // Reaped, so that not even an entry in the process table stays.
            let _ = self.child.wait();
        }
    }
}

enum Reply {
    Done,
    Message(Vec<u8>),
}

/// An error as a worker tells it.
#[derive(Deserialize)]
struct Fault {
    kind: String,
    doing: String,
    row: Option<usize>,
    message: String,
    trace: String,
}

/// A message to a worker: its length, then JSON.
fn line(message: &impl Serialize) -> Result<Vec<u8>, GymError> {
    let json = serde_json::to_vec(message).map_err(|e| GymError::Protocol(e.to_string()))?;
    let length = u32::try_from(json.len()).map_err(|e| GymError::Protocol(e.to_string()))?;
    Ok([&length.to_ne_bytes()[..], &json].concat())
}
