use super::checks::check_observations;
use crate::panics::{During, caught};
use crate::{ActionRef, ActionsRef, DynEnv, EnvError, EnvRng, Metric, StepEnd};

/// Neighbouring environments and their rows of every buffer.
pub(super) struct Block<'a, E> {
    /// The row of its first environment in the actions,
    pub(super) first: usize,
    /// and the index that errors call it by.
    pub(super) number: usize,
    pub(super) o: usize,
    pub(super) a: usize,
    pub(super) step: u64,
    pub(super) envs: &'a mut [E],
    pub(super) rngs: &'a mut [EnvRng],
    pub(super) obs: &'a mut [f32],
    pub(super) final_obs: &'a mut [f32],
    pub(super) rewards: &'a mut [f64],
    pub(super) ends: &'a mut [StepEnd],
    pub(super) metrics: &'a [Metric],
    pub(super) metric_values: &'a mut [f64],
}

impl<E: DynEnv> Block<'_, E> {
    pub(super) fn step(self, actions: ActionsRef<'_>) -> Result<(), EnvError> {
        let a = self.a;
        let rows = self.first * a..(self.first + self.envs.len()) * a;
        let during = During::new("step");
        // One loop for each kind, so that the kind is not asked for at every step.
        caught(&during, self.step, || match actions {
            ActionsRef::Discrete(xs) => {
                self.step_each(xs[rows].chunks_exact(a).map(ActionRef::Discrete), &during)
            }
            ActionsRef::Continuous(xs) => {
                self.step_each(xs[rows].chunks_exact(a).map(ActionRef::Continuous), &during)
            }
        })
    }

    #[inline]
    fn step_each<'a>(
        self,
        actions: impl Iterator<Item = ActionRef<'a>>,
        during: &During,
    ) -> Result<(), EnvError> {
        let Block {
            number, o, step, envs, rngs, obs, final_obs, rewards, ends, metrics, metric_values, ..
        } = self;
        let k = metrics.len();
        let copies = envs.iter_mut().zip(&mut *rngs).zip(actions);
        let buffers = obs.chunks_exact_mut(o).zip(rewards.iter_mut().zip(&mut *ends));
        for (i, (((env, rng), action), (obs, (reward, end)))) in copies.zip(buffers).enumerate() {
            during.index.set(number + i);
            let taken = env.step(action, rng, obs).map_err(|e| e.at(number + i, step))?;
            (*reward, *end) = (taken.reward, taken.end);
            if k > 0 {
                let values = &mut metric_values[i * k..(i + 1) * k];
                values.fill(f64::NAN);
                during.method.set("read_metrics");
                env.read_metrics(values);
                during.method.set("step");
            }
            if taken.end.is_over() {
                let final_obs = &mut final_obs[i * o..(i + 1) * o];
                final_obs.copy_from_slice(obs);
                check_observations(final_obs, o, number + i, step)?;
                during.method.set("reset");
                env.reset(rng, obs).map_err(|e| e.at(number + i, step))?;
                during.method.set("step");
            }
        }
        if let Some(i) = rewards.iter().position(|r| !r.is_finite()) {
            return Err(EnvError::Contract(format!("the reward is {}", rewards[i])).at(number + i, step));
        }
        if let Some(at) = metric_values.iter().position(|x| x.is_infinite()) {
            let (name, x) = (&metrics[at % k].name, metric_values[at]);
            return Err(EnvError::Contract(format!("the metric {name:?} is {x}")).at(number + at / k, step));
        }
        check_observations(obs, o, number, step)
    }
}
