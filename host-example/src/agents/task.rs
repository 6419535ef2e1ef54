//! The work of an agent: a request, its answer, the calls in it, the next request, until an answer has no calls.
//!
//! An answer goes back to the model with everything that came with it, reasoning included: some models refuse a turn
//! without it. Approval is asked for one call after another; then the calls of an answer run at once, and their results
//! keep their order. A limit ends the work with its own code and says how far it went.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use plugin_api::{ChatReply, ChatRequest, Message, ToolCall, Usage};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::definition::{Approval, Definition};
use super::toolbox::{Outcome, Toolbox};
use crate::talk::calc;
use crate::talk::dialogue::system_message;
use crate::talk::parameters::{Parameters, fields};
use crate::terminal::{self, Exit, Failure, counted, time};

/// The same call runs at most this often; a model that repeats itself gets an error instead of the same result.
const MAX_SAME: usize = 3;

/// A tool call and its result.
#[derive(Clone, Serialize)]
pub struct Called {
    pub step: u32,
    pub name: String,
    pub arguments: String,
    pub result: String,
    pub is_error: bool,
    pub duration_ms: u64,
}

/// Who is there while an agent works.
pub trait Attendant {
    /// Whether the call may run.
    ///
    /// - Errors: nobody can say, so the work ends.
    fn allows(&mut self, call: &ToolCall, approval: Approval) -> impl Future<Output = Result<bool, Failure>> + Send;

    /// The call has run.
    fn ran(&mut self, call: &ToolCall, called: &Called);
}

/// What an answer was.
#[derive(Debug, PartialEq, Eq)]
pub enum Turn {
    /// It had calls, whose results are in the next request.
    Calls,
    /// The last one.
    Answer,
}

pub struct Task {
    definition: Definition,
    toolbox: Toolbox,
    messages: Vec<Message>,
    parameters: Parameters,
    begun: Instant,
    /// How often each call was made, by name and arguments.
    n_same: HashMap<(String, String), usize>,
    /// The number of requests so far.
    pub step: u32,
    /// How many of their answers came with their usage.
    n_metered: u32,
    spent: Usage,
    pub called: Vec<Called>,
}

impl Task {
    /// - In: `messages`, what comes behind the agent's system prompt; `parameters`, fields of each request, which win
    ///   over the agent's.
    pub fn new(definition: Definition, toolbox: Toolbox, messages: Vec<Message>, parameters: Parameters) -> Self {
        let mut all = fields(Value::Object(definition.parameters.clone()));
        if !definition.fallbacks.is_empty() {
            all.extend(fields(json!({"models": definition.fallbacks})));
        }
        all.extend(parameters);
        let tools = toolbox.descriptions();
        if !tools.is_empty() {
            all.extend(fields(json!({"tools": tools})));
        }
        let mut before = system_message(definition.system_prompt.as_deref());
        before.extend(messages);
        Self {
            definition,
            toolbox,
            messages: before,
            parameters: all,
            begun: Instant::now(),
            n_same: HashMap::new(),
            step: 0,
            n_metered: 0,
            spent: nothing_spent(),
            called: Vec::new(),
        }
    }

    /// The next request.
    ///
    /// - Errors: the time is over.
    pub fn request(&mut self) -> Result<ChatRequest, Failure> {
        if self.left().is_some_and(|left| left.is_zero()) {
            return Err(self.out_of_time());
        }
        self.step += 1;
        let mut request = ChatRequest::new(&self.messages)?;
        request.tier.clone_from(&self.definition.tier);
        request.model.clone_from(&self.definition.model);
        request.parameters.clone_from(&self.parameters);
        Ok(request)
    }

    /// Waits for this as long as the agent's time lasts.
    pub async fn within<T>(&self, work: impl Future<Output = T>) -> Result<T, Failure> {
        match self.left() {
            None => Ok(work.await),
            Some(left) => tokio::time::timeout(left, work).await.map_err(|_| self.out_of_time()),
        }
    }

    /// Takes the answer to the last request, and runs its calls.
    ///
    /// - Errors: a limit is reached, or nobody can approve a call.
    pub async fn take(&mut self, reply: &ChatReply, attendant: &mut impl Attendant) -> Result<Turn, Failure> {
        add(&mut self.spent, reply.done.usage.as_ref());
        self.n_metered += u32::from(reply.done.usage.is_some());
        if reply.tool_calls.is_empty() {
            return Ok(Turn::Answer);
        }
        self.check_limits()?;
        self.messages.push(Message::assistant(reply));
        let mut running = JoinSet::new();
        let mut outcomes: Vec<Option<(Outcome, u64)>> = Vec::new();
        for (n, call) in reply.tool_calls.iter().enumerate() {
            let is_allowed = attendant.allows(call, self.toolbox.approval(&call.name)).await?;
            let ready = match is_allowed {
                true => self.once_more(call).and_then(|()| self.toolbox.ready(call)),
                false => Err(Outcome::error("the user denied this call")),
            };
            outcomes.push(match ready {
                Ok(ready) => {
                    let left = self.left();
                    running.spawn(async move {
                        let begun = Instant::now();
                        (n, ready.run(left).await, time::elapsed_ms(begun))
                    });
                    None
                }
                Err(outcome) => Some((outcome, 0)),
            });
        }
        while let Some(ended) = running.join_next().await {
            if let Ok((n, outcome, duration_ms)) = ended {
                outcomes[n] = Some((outcome, duration_ms));
            }
        }
        for (call, outcome) in reply.tool_calls.iter().zip(outcomes) {
            let (outcome, duration_ms) = outcome.unwrap_or_else(|| (Outcome::error("the tool failed"), 0));
            self.messages
                .push(Message::tool(call.id.as_str(), outcome.result.as_str()));
            let called = Called {
                step: self.step,
                name: call.name.clone(),
                arguments: call.arguments.clone(),
                result: outcome.result,
                is_error: outcome.is_error,
                duration_ms,
            };
            attendant.ran(call, &called);
            self.called.push(called);
        }
        Ok(Turn::Calls)
    }

    /// Ends the connections of its tools.
    pub async fn close(self) {
        self.toolbox.close().await;
    }

    /// `3 steps · 2 tool calls · 1200→300 tokens · $0.01 in total`
    pub fn summary(&self) -> String {
        let used = match self.usage() {
            Some(usage) => {
                let (prompt, completion) = (usage.prompt_tokens, usage.completion_tokens);
                format!("{prompt}→{completion} tokens · {}", terminal::cost(usage))
            }
            None => "tokens unknown · cost unknown".to_owned(),
        };
        let (steps, calls) = (
            counted(self.step as usize, "step"),
            counted(self.called.len(), "tool call"),
        );
        format!("{steps} · {calls} · {used} in total")
    }

    /// What all answers used; unknown if one of them did not come, or came without its usage.
    pub fn usage(&self) -> Option<&Usage> {
        (self.n_metered == self.step).then_some(&self.spent)
    }

    fn left(&self) -> Option<Duration> {
        let limit = Duration::from_secs(self.definition.max_seconds?);
        Some(limit.saturating_sub(self.begun.elapsed()))
    }

    /// - Errors: the model has called the same tool with the same arguments too often.
    fn once_more(&mut self, call: &ToolCall) -> Result<(), Outcome> {
        let n_same = self
            .n_same
            .entry((call.name.clone(), call.arguments.clone()))
            .or_default();
        *n_same += 1;
        match *n_same > MAX_SAME {
            true => Err(Outcome::error(&format!(
                "this call was made {MAX_SAME} times already; use its result, or answer without it"
            ))),
            false => Ok(()),
        }
    }

    /// Whether a further request may carry the results of these calls.
    fn check_limits(&self) -> Result<(), Failure> {
        let Definition {
            max_steps,
            max_cost_usd,
            ..
        } = self.definition;
        if self.step >= max_steps {
            let message = "the model still calls tools".to_owned();
            let more = max_steps.saturating_mul(2);
            let hint = format!("allow more steps: --max-steps {more}, or `max_steps` of the agent");
            return Err(self.stopped("max_steps", message, hint));
        }
        let Some(limit) = max_cost_usd else { return Ok(()) };
        let limit_text = limit.to_string();
        let Some(cost) = self.spent.cost_usd.as_deref() else {
            let message = format!("the cost of an answer is unknown, so the limit of ${limit_text} cannot be kept");
            let hint = "choose a model whose cost the service reports, or run without `max_cost_usd`".to_owned();
            return Err(self.stopped("max_cost_usd", message, hint));
        };
        if calc::is_at_least(cost, &limit_text) == Some(false) {
            return Ok(());
        }
        let message = format!("the limit of ${limit_text} is reached: ${cost} spent");
        let hint = format!("allow more: --max-cost {}, or `max_cost_usd` of the agent", limit * 2.0);
        Err(self.stopped("max_cost_usd", message, hint))
    }

    fn out_of_time(&self) -> Failure {
        let seconds = self.definition.max_seconds.unwrap_or_default();
        let hint = format!(
            "allow more: --max-seconds {}, or `max_seconds` of the agent",
            seconds.saturating_mul(2)
        );
        self.stopped("max_seconds", format!("the limit of {seconds} s is reached"), hint)
    }

    /// The failure of a limit, with how far the work went.
    fn stopped(&self, code: &str, message: String, hint: String) -> Failure {
        let mut failure = Failure::new(Exit::Limit, format!("{message}; {}", self.summary())).with_hint(hint);
        let details = &mut failure.details;
        details["code"] = Value::from(code);
        details["steps"] = Value::from(self.step);
        details["calls"] = serde_json::to_value(&self.called).unwrap_or_default();
        details["usage"] = serde_json::to_value(self.usage()).unwrap_or_default();
        failure
    }
}

fn nothing_spent() -> Usage {
    Usage {
        cost_usd: Some("0".to_owned()),
        ..Usage::default()
    }
}

/// Adds the usage of a step. If one step's cost is unknown, so is the sum.
fn add(spent: &mut Usage, usage: Option<&Usage>) {
    let costs = [Some(&*spent), usage].map(|usage| usage?.cost_usd.as_deref());
    let costs: Option<Vec<&str>> = costs.into_iter().collect();
    spent.cost_usd = costs.and_then(calc::sum);
    if let Some(usage) = usage {
        let upstream = [&spent.upstream_cost_usd, &usage.upstream_cost_usd];
        let upstream: Vec<&str> = upstream.into_iter().filter_map(|cost| cost.as_deref()).collect();
        spent.upstream_cost_usd = (!upstream.is_empty()).then(|| calc::sum(upstream)).flatten();
        spent.is_byok |= usage.is_byok;
        spent.prompt_tokens += usage.prompt_tokens;
        spent.completion_tokens += usage.completion_tokens;
        spent.total_tokens += usage.total_tokens;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn costs_add_up_exactly_and_an_unknown_one_makes_all_unknown() {
        let usage = |cost: Option<&str>| Usage {
            prompt_tokens: 10,
            completion_tokens: 2,
            cost_usd: cost.map(str::to_owned),
            ..Usage::default()
        };
        let definition = Definition::default();
        let mut task = Task::new(definition, Toolbox::default(), Vec::new(), Parameters::new());
        for cost in ["0.1", "0.2", "0.000000001"] {
            add(&mut task.spent, Some(&usage(Some(cost))));
        }
        let summary = "0 steps · 0 tool calls · 30→6 tokens · $0.300000001 in total";
        assert_eq!(task.summary(), summary);
        add(&mut task.spent, None);
        add(&mut task.spent, Some(&usage(Some("0.1"))));
        assert_eq!(task.spent.cost_usd, None);
    }
}
