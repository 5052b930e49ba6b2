//! The transitions.

use super::policy::{Bound, Class, Meanwhile, Policy, Recovery};
use super::{Decision, DisableCause, Effect, Gate, Health, Note, Notice, State, Trouble};
use crate::limit;
use crate::outcome::{Outcome, SkipReason};
use crate::time::Timestamp;

impl Health {
    /// What dispatch may do at `now`. Ask after [`Health::tick`].
    pub fn gate(&self, policy: &Policy, now: Timestamp) -> Gate {
        match self {
            Self::Active { .. } | Self::Probation { .. } => Gate::Open,
            Self::Suspended { .. } => self.suspended_gate(policy, now),
            Self::Disabled { .. } => match policy.disabled_messages {
                Meanwhile::Skip => Gate::Skip(SkipReason::EndpointDisabled),
                Meanwhile::Hold | Meanwhile::Attempt => Gate::Hold { until: None },
            },
        }
    }

    fn suspended_gate(&self, policy: &Policy, now: Timestamp) -> Gate {
        if self.is_due(policy, now) {
            return match policy.after_cooldown {
                Recovery::Probe if policy.suspended_messages != Meanwhile::Attempt => Gate::Probe,
                Recovery::Probe | Recovery::Probation => Gate::Open,
            };
        }
        match policy.suspended_messages {
            Meanwhile::Hold => Gate::Hold {
                until: self.next_tick_at(policy),
            },
            Meanwhile::Attempt => Gate::Open,
            Meanwhile::Skip => Gate::Skip(SkipReason::EndpointSuspended),
        }
    }

    /// Deliveries per second it may get, where the policy bounds them.
    pub fn rate_limit(&self, policy: &Policy) -> Option<u32> {
        match (self, policy.drain_per_second) {
            (Self::Probation { .. }, Bound::At(rate)) => Some(rate),
            _ => None,
        }
    }

    /// When time alone changes the state or the gate, or `None` if it never does.
    ///
    /// Computed from stored instants: after a restart, and whenever the clock may have been set,
    /// [`Health::tick`] is due at once.
    pub fn next_tick_at(&self, policy: &Policy) -> Option<Timestamp> {
        match self {
            Self::Suspended {
                trouble, check_at, ..
            } => Some(policy.cooldown_end(*check_at, trouble.last_error_at)),
            Self::Probation { since, trouble, .. } => {
                let last_error_at = trouble.as_ref().map(|trouble| trouble.last_error_at);
                Some(policy.probation_end(*since, last_error_at))
            }
            Self::Active { .. } | Self::Disabled { .. } => None,
        }
    }

    /// What time has brought about by `now`.
    #[must_use]
    pub fn tick(self, now: Timestamp, policy: &Policy) -> Decision {
        let mut decision = self.repaired(now, policy);
        // The cool-down may have ended and probation too: two moves at most.
        for _ in 0..2 {
            let due = decision.next.next_tick_at(policy).filter(|at| now >= *at);
            let Some(due) = due else { break };
            decision = match decision.next {
                Self::Suspended { trouble, step, .. }
                    if policy.after_cooldown == Recovery::Probation =>
                {
                    let next = Self::Probation {
                        since: due,
                        trouble: Some(trouble.with_failures(0)),
                        step,
                    };
                    moved(State::Suspended, next, decision.notices)
                }
                Self::Probation { .. } => {
                    let next = Self::Active {
                        trouble: None,
                        note: Some(Note::Reactivated),
                    };
                    moved(State::Probation, next, decision.notices)
                }
                next => {
                    decision.next = next;
                    break;
                }
            };
        }
        decision
    }

    /// What an outcome at `now` brings about. Time is let pass first.
    #[must_use]
    pub fn record(self, outcome: &Outcome, now: Timestamp, policy: &Policy) -> Decision {
        let ticked = self.tick(now, policy);
        if !ticked.next.listens(policy, now) {
            return ticked;
        }
        let decided = match policy.class_of(outcome) {
            Class::Neutral => return ticked,
            Class::Success => ticked.next.succeed(now, policy),
            Class::Transient => ticked.next.fail(outcome, now, policy),
            Class::Permanent => ticked.next.give_up(outcome, now),
        };
        Decision {
            next: decided.next,
            effect: match ticked.effect {
                Effect::Changed => Effect::Changed,
                Effect::Unchanged => decided.effect,
            },
            notices: [ticked.notices, decided.notices].concat(),
        }
    }

    /// Whether outcomes count. While an endpoint is suspended, those that still arrive belong to
    /// requests sent before, unless the cool-down is over or messages are attempted all the same.
    fn listens(&self, policy: &Policy, now: Timestamp) -> bool {
        match self {
            Self::Active { .. } | Self::Probation { .. } => true,
            Self::Suspended { .. } => {
                policy.suspended_messages == Meanwhile::Attempt || self.is_due(policy, now)
            }
            Self::Disabled { .. } => false,
        }
    }

    /// Whether the time has come that [`Health::next_tick_at`] names.
    fn is_due(&self, policy: &Policy, now: Timestamp) -> bool {
        self.next_tick_at(policy).is_some_and(|at| now >= at)
    }

    fn succeed(self, now: Timestamp, policy: &Policy) -> Decision {
        match self {
            Self::Active {
                trouble: Some(trouble),
                ..
            } => {
                let notices = trouble.warned.map(|_| Notice::Recovered);
                changed(Self::default(), notices.into_iter().collect())
            }
            Self::Suspended { trouble, step, .. } => {
                let next = Self::Probation {
                    since: now,
                    trouble: trouble.after_success(policy),
                    step,
                };
                moved(State::Suspended, next, Vec::new())
            }
            Self::Probation {
                since,
                trouble: Some(trouble),
                step,
            } => {
                let before = trouble.clone();
                let trouble = trouble.after_success(policy);
                let effect = if trouble.as_ref() == Some(&before) {
                    Effect::Unchanged
                } else {
                    Effect::Changed
                };
                Decision {
                    next: Self::Probation {
                        since,
                        trouble,
                        step,
                    },
                    effect,
                    notices: Vec::new(),
                }
            }
            Self::Active { trouble: None, .. }
            | Self::Probation { trouble: None, .. }
            | Self::Disabled { .. } => unchanged(self),
        }
    }

    /// A transient failure: another warning, a (further) suspension or the end.
    fn fail(self, outcome: &Outcome, now: Timestamp, policy: &Policy) -> Decision {
        let from = self.state();
        let is_due = self.is_due(policy, now);
        let known = self.trouble().cloned();
        let mut trouble = Trouble::grown(known, *outcome, now);
        if trouble.is_hopeless(now, policy) {
            let next = Self::Disabled {
                since: now,
                cause: DisableCause::NoSuccess,
                trouble: Some(trouble),
                note: None,
            };
            return moved(from, next, Vec::new());
        }
        let warning = trouble.warn(now, policy);
        let suspends = policy.suspend_after.is_reached_by(trouble.failures);
        let next = match self {
            Self::Active { .. } if suspends => Self::suspended(now, trouble, 0, policy),
            Self::Active { .. } => Self::Active {
                trouble: Some(trouble),
                note: None,
            },
            Self::Probation { step, .. } if suspends => {
                Self::suspended(now, trouble, step.saturating_add(1), policy)
            }
            Self::Probation { since, step, .. } => Self::Probation {
                since,
                trouble: Some(trouble),
                step,
            },
            // The probe failed, and the next cool-down begins.
            Self::Suspended { since, step, .. } if is_due => {
                let step = step.saturating_add(1);
                Self::Suspended {
                    since,
                    trouble,
                    step,
                    check_at: now + policy.cooldown(step),
                }
            }
            Self::Suspended {
                since,
                step,
                check_at,
                ..
            } => Self::Suspended {
                since,
                trouble,
                step,
                check_at,
            },
            Self::Disabled { .. } => return unchanged(self),
        };
        moved(from, next, warning.into_iter().collect())
    }

    fn suspended(now: Timestamp, trouble: Trouble, step: u32, policy: &Policy) -> Self {
        Self::Suspended {
            since: now,
            trouble,
            step,
            check_at: now + policy.cooldown(step),
        }
    }

    /// A permanent failure; it is a trouble of its own.
    fn give_up(self, outcome: &Outcome, now: Timestamp) -> Decision {
        let cause = match outcome.status() {
            Some(410) => DisableCause::Gone,
            _ => DisableCause::PermanentFailure,
        };
        let next = Self::Disabled {
            since: now,
            cause,
            trouble: Some(Trouble::grown(None, *outcome, now)),
            note: None,
        };
        moved(self.state(), next, Vec::new())
    }

    /// A person wants it sent to.
    #[must_use]
    pub fn activate(self) -> Decision {
        if self == Self::default() {
            return unchanged(self);
        }
        moved(self.state(), Self::default(), Vec::new())
    }

    /// A person wants it left alone. The note is cut to [`limit::HEALTH_NOTE_CHARS_MAX`].
    #[must_use]
    pub fn deactivate(self, now: Timestamp, note: &str) -> Decision {
        let next = Self::Disabled {
            since: now,
            cause: DisableCause::Person,
            trouble: None,
            note: Some(Note::Person(
                note.chars().take(limit::HEALTH_NOTE_CHARS_MAX).collect(),
            )),
        };
        moved(self.state(), next, Vec::new())
    }

    /// Pulls instants of the future to `now`, where a clock was set back or a policy shortened.
    fn repaired(mut self, now: Timestamp, policy: &Policy) -> Decision {
        let before = self.clone();
        match &mut self {
            Self::Active { trouble, .. } => {
                if let Some(trouble) = trouble {
                    trouble.repair(now);
                }
            }
            Self::Suspended {
                since,
                trouble,
                step,
                check_at,
            } => {
                *since = now.min(*since);
                *check_at = (now + policy.cooldown(*step)).min(*check_at);
                trouble.repair(now);
            }
            Self::Probation { since, trouble, .. } | Self::Disabled { since, trouble, .. } => {
                *since = now.min(*since);
                if let Some(trouble) = trouble {
                    trouble.repair(now);
                }
            }
        }
        if self == before {
            unchanged(self)
        } else {
            changed(self, Vec::new())
        }
    }
}

fn unchanged(next: Health) -> Decision {
    Decision {
        next,
        effect: Effect::Unchanged,
        notices: Vec::new(),
    }
}

fn changed(next: Health, notices: Vec<Notice>) -> Decision {
    Decision {
        next,
        effect: Effect::Changed,
        notices,
    }
}

/// A change, with the notice about the new state where there is one.
fn moved(from: State, next: Health, mut notices: Vec<Notice>) -> Decision {
    let to = next.state();
    if from != to {
        notices.push(Notice::Moved { from, to });
    }
    changed(next, notices)
}
