//! Starting processes from a thread that lives as long as this process does.

use std::io;
use std::process::{Child, Command};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, OnceLock, PoisonError};

struct Order {
    command: Command,
    started: Sender<io::Result<Child>>,
}

/// Starts a process. On Linux a worker asks the kernel to be killed when its parent ends, and the kernel takes the parent to be the *thread* that
/// started it: one of a pool that is taken down would take the workers with it.
pub(crate) fn spawn(command: Command) -> io::Result<Child> {
    static ORDERS: OnceLock<Result<Mutex<Sender<Order>>, io::ErrorKind>> = OnceLock::new();
    let orders = ORDERS.get_or_init(|| {
        let (orders, received) = channel();
        let thread = std::thread::Builder::new().name("gym-spawner".into());
        thread.spawn(move || serve(received)).map_err(|e| e.kind())?;
        Ok(Mutex::new(orders))
    });
    let gone = || io::Error::other("the thread that starts processes is gone");
    let orders = orders.as_ref().map_err(|kind| io::Error::from(*kind))?;
    let (started, answer) = channel();
    let order = Order { command, started };
    orders.lock().unwrap_or_else(PoisonError::into_inner).send(order).map_err(|_| gone())?;
    answer.recv().map_err(|_| gone())?
}

fn serve(orders: Receiver<Order>) {
    for Order { mut command, started } in orders {
        // Nobody is left to be told only if the asking thread has died.
        let _ = started.send(command.spawn());
    }
}
