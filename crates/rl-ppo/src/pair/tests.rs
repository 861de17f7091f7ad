use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use rayon::prelude::*;

use super::*;

fn pool(threads: usize) -> rayon::ThreadPool {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap()
}

fn in_pool<R: Send>(threads: usize, body: impl FnOnce() -> R + Send) -> R {
    pool(threads).install(body)
}

/// With a ledger of its own.
fn with<R: Send>(body: impl FnOnce(Pair<'_>) -> R + Send) -> R {
    Pair::with(&mut Ledger::default(), body)
}

/// Fails instead of hanging.
fn in_time<R: Send + 'static>(work: impl FnOnce() -> R + Send + 'static) -> R {
    let (done, outcome) = mpsc::channel();
    let worker = thread::spawn(move || done.send(work()).unwrap());
    match outcome.recv_timeout(Duration::from_secs(60)) {
        Ok(outcome) => outcome,
        // The worker may have panicked instead, which says more.
        Err(mpsc::RecvTimeoutError::Disconnected) => {
            panic!("{:?}", worker.join().unwrap_err().downcast::<String>())
        }
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("it hangs"),
    }
}

/// A join that does nothing but meet: with the helper beside, the two halves see each other at work.
fn meet(pair: &mut Pair<'_>) -> bool {
    meet_and(pair, || {})
}

/// The same; each half looks around first.
fn meet_and(pair: &mut Pair<'_>, look: impl Fn() + Sync) -> bool {
    let (inside, met) = (AtomicUsize::new(0), AtomicBool::new(false));
    let half = || {
        look();
        inside.fetch_add(1, Ordering::SeqCst);
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_millis(2) && !met.load(Ordering::SeqCst) {
            met.fetch_or(inside.load(Ordering::SeqCst) == 2, Ordering::SeqCst);
            thread::yield_now();
        }
        inside.fetch_sub(1, Ordering::SeqCst);
    };
    pair.join(half, half);
    met.into_inner()
}

/// Joins until the helper is there, so that a test is about it. Those alone are slow, so it pays.
fn until_helped(pair: &mut Pair<'_>) {
    let begun = Instant::now();
    while !meet(pair) {
        assert!(begun.elapsed() < Duration::from_secs(30), "no helper came");
    }
}

fn sums(mut pair: Pair<'_>) -> (u64, u64) {
    let (mut left, mut right) = (0, 0);
    (0..10_000).for_each(|i| {
        pair.join(|| left += i, || right += 2 * i);
    });
    (left, right)
}

#[test]
fn both_halves_run_once_with_and_without_a_helper() {
    let helped = |mut pair: Pair<'_>| {
        until_helped(&mut pair);
        sums(pair)
    };
    assert_eq!(in_pool(2, || with(helped)), (49_995_000, 99_990_000));
    for threads in [1, 3] {
        assert_eq!(in_pool(threads, || with(sums)), (49_995_000, 99_990_000));
    }
    assert_eq!(with(sums), (49_995_000, 99_990_000), "outside a pool");
}

#[test]
fn the_halves_run_on_two_threads_of_the_pool() {
    let at = || (thread::current().id(), rayon::current_thread_index(), rayon::current_num_threads());
    let seen = Mutex::new(HashSet::new());
    in_pool(2, || {
        with(|mut pair| {
            until_helped(&mut pair);
            for _ in 0..100 {
                meet_and(&mut pair, || {
                    seen.lock().unwrap().insert(at());
                });
            }
        });
    });
    let seen = seen.into_inner().unwrap();
    assert_eq!(seen.len(), 2, "{seen:?}");
    assert!(seen.iter().all(|(_, index, threads)| index.is_some() && *threads == 2), "{seen:?}");
}

/// A helper that has left for want of work comes back.
#[test]
fn a_helper_returns_from_a_rest() {
    in_pool(2, || {
        with(|mut pair| {
            for _ in 0..3 {
                until_helped(&mut pair);
                thread::sleep(Duration::from_millis(20));
            }
        });
    });
}

/// The owner sleeps while the helper takes long, and is woken.
#[test]
fn a_long_task_is_awaited() {
    let done = AtomicBool::new(false);
    in_pool(2, || {
        with(|mut pair| {
            until_helped(&mut pair);
            for _ in 0..5 {
                pair.join(
                    || (),
                    || {
                        thread::sleep(Duration::from_millis(20));
                        done.store(true, Ordering::Relaxed);
                    },
                );
                assert!(done.swap(false, Ordering::Relaxed), "the owner did not wait");
            }
        });
    });
}

#[test]
fn panics_come_out_and_leave_nothing_running() {
    for left in [true, false] {
        let outcome = catch_unwind(|| {
            in_pool(2, || {
                with(|mut pair| {
                    until_helped(&mut pair);
                    (0..1_000).for_each(|i| {
                        pair.join(|| assert!(!left || i < 999, "left"), || assert!(left || i < 999, "right"));
                    });
                });
            });
        });
        let panic = outcome.unwrap_err();
        assert_eq!(panic.downcast_ref::<&str>(), Some(&if left { "left" } else { "right" }));
    }
}

/// The helper is still at its half when the owner's panics: what it borrows must live until it is done.
#[test]
fn a_panic_waits_for_the_other_half() {
    let (begun, done) = (AtomicBool::new(false), AtomicBool::new(false));
    in_pool(2, || {
        with(|mut pair| {
            until_helped(&mut pair);
            let slow = || {
                begun.store(true, Ordering::SeqCst);
                thread::sleep(Duration::from_millis(20));
                done.store(true, Ordering::SeqCst);
            };
            // A helper that has just left has no half to begin.
            while !begun.load(Ordering::SeqCst) {
                let outcome = catch_unwind(AssertUnwindSafe(|| pair.join(|| panic!("left"), slow)));
                assert!(outcome.is_err());
            }
            assert!(done.load(Ordering::SeqCst), "the owner left before the helper was done");
        });
    });
}

/// Every thread of the pool is busy with a pair of its own: none of them may wait for a helper.
#[test]
fn pairs_without_a_free_thread_do_not_wait() {
    let sum = |k: u64| {
        with(|mut pair| {
            let joined = (0..1_000).map(|i| pair.join(|| i, || k));
            joined.map(|(a, b)| a + b).sum::<u64>()
        })
    };
    let sums: Vec<u64> = in_pool(2, || (0..8).into_par_iter().map(sum).collect());
    assert_eq!(sums, (0..8).map(|k| 499_500 + 1_000 * k).collect::<Vec<_>>());
}

/// Plain threads share the global pool, as many of them as it has threads, each with parallel sections inside.
#[test]
fn parallel_sections_inside_do_not_wait_either() {
    let work = || {
        with(|mut pair| {
            let sum = || (0..10_000_u64).into_par_iter().sum::<u64>();
            (0..50).map(|_| pair.join(sum, sum)).map(|(a, b)| a + b).sum::<u64>()
        })
    };
    let n = rayon::current_num_threads() + 1;
    let sums: Vec<u64> = thread::scope(|scope| {
        let owners: Vec<_> = (0..n).map(|_| scope.spawn(work)).collect();
        owners.into_iter().map(|owner| owner.join().unwrap()).collect()
    });
    assert_eq!(sums, vec![100 * 49_995_000; n]);
}

/// While the body waits inside rayon its thread takes jobs of the pool, and its own helper's is the first that offers itself.
#[test]
fn a_body_that_waits_inside_rayon_does_not_wait_for_itself() {
    let sum = in_time(|| {
        let (release, gate) = mpsc::channel::<()>();
        let other = pool(1);
        in_pool(2, || {
            rayon::scope(|scope| {
                // The only thread that could help is busy until the body is through.
                let (busy, is_busy) = mpsc::channel();
                scope.spawn(move |_| {
                    busy.send(()).unwrap();
                    gate.recv().unwrap();
                });
                is_busy.recv().unwrap();
                let sum = with(|mut pair| {
                    let joined =
                        (0..100_u64).map(|i| pair.join(|| other.install(|| i), || other.install(|| 2 * i)));
                    joined.map(|(a, b)| a + b).sum::<u64>()
                });
                release.send(()).unwrap();
                sum
            })
        })
    });
    assert_eq!(sum, 3 * 4_950);
}

/// Two owners that wait inside rayon might each become the other's helper, and stay that for good.
#[test]
fn owners_do_not_help_each_other_while_they_wait() {
    let sums: Vec<u64> = in_time(|| {
        let other = pool(2);
        let body = |k: u64| {
            with(|mut pair| {
                let inside = || other.install(|| (0..64_u64).into_par_iter().map(|i| i % 2).sum::<u64>());
                (0..200).map(|_| pair.join(inside, inside)).map(|(a, b)| a + b).sum::<u64>() + k
            })
        };
        in_pool(2, || (0..2).into_par_iter().map(body).collect())
    });
    assert_eq!(sums, [200 * 64, 200 * 64 + 1]);
}

/// A half may need the very thread that waits for it.
#[test]
fn an_owner_that_waits_remains_a_thread_of_the_pool() {
    let threads = in_time(|| {
        in_pool(2, || {
            with(|mut pair| {
                until_helped(&mut pair);
                let everywhere = || rayon::broadcast(|context| context.index()).len();
                (0..20).map(|_| pair.join(|| 0, everywhere)).map(|(_, n)| n).sum::<usize>()
            })
        })
    });
    assert_eq!(threads, 40);
}
