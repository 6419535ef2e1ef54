//! Topics other than errors: how an answer may end, and what people ask about money, streams, fallbacks and caches.

/// The name, what it is, and what to do with it.
pub const TOPICS: &[(&str, &str, &str)] = &[
    (
        "max_steps",
        "An agent still called tools when it had used all the model answers that it may use.",
        "Allow more with `--max-steps` or `max_steps` of the agent; first look at the calls, for a model that goes in circles.",
    ),
    (
        "max_cost_usd",
        "The answers of an agent cost as much as it may spend, so no further one was asked for.",
        "Allow more with `--max-cost` or `max_cost_usd` of the agent, or choose a cheaper model.",
    ),
    (
        "max_seconds",
        "The time of an agent was over before its last answer.",
        "Allow more with `--max-seconds` or `max_seconds` of the agent, or choose a faster model.",
    ),
    (
        "approval",
        "A tool call needed approval, and no terminal was there to ask.",
        "Set `approval` of the agent to `always` for that tool, pass `--tools-approve always`, or run it at a terminal.",
    ),
    (
        "mcp",
        "An MCP server that an agent uses does not start, does not answer, or lacks a tool that the agent names.",
        "Try it alone with `agent-host mcp test NAME`, which shows what its program wrote last.",
    ),
    (
        "credits",
        "What is left to spend: the account's balance, and the limit of the key where it has one.",
        "`agent-host credits` and `agent-host key` show both. To spend less, limit an answer with `--max-tokens`, choose \
         a cheaper model with `agent-host models --sort price`, or set a `budget` in the profile.",
    ),
    (
        "streaming",
        "An answer is printed as the model writes it. It is complete only with a finish reason; a stream that ends \
         without one is an error that keeps the text so far, and is not retried, because that text may be billed.",
        "`--no-stream` waits for the whole answer instead. `timeouts` in the profile says how long a stream may be silent.",
    ),
    (
        "fallback",
        "Another model answers when the first one cannot: its provider fails, it is rate-limited, or the service does not \
         know it. Only models that the profile names are tried, in their order, and the line below the answer says why.",
        "Name them under `fallbackModels` in the profile, and try them with `agent-host fallback test`.",
    ),
    (
        "caching",
        "Providers may keep the start of a prompt and charge less when it comes again; the line below an answer counts \
         these tokens as cached. Apart from that, the model list and the balance are kept for a while.",
        "Keep what does not change at the start of the prompt. `--refresh` fetches a list or balance now; `caches` in the \
         profile says how long each is kept.",
    ),
    (
        "untrusted_address",
        "The profile file may be somebody else's: it was named on the command line or lies in the working directory, and \
         not in your config folder. It sends prompts, and a key that did not come with it, to an address of its own, or \
         runs a command to get a key. Or an agent's file outside your config folder starts a program, reaches an MCP \
         server or opens a folder outside its own.",
        "Look at `baseUrl` and `apiKey`, or at `mcpServers` and `files`, in the file. If you trust it, add `--trust-profile`, or run the command on a \
         terminal and say yes; or move the file into `~/.config/agent-host`.",
    ),
    (
        "length",
        "A finish reason: the answer reached its token limit and is cut off there. Reasoning counts too, and may leave \
         nothing for the text.",
        "Allow more with `--max-tokens`, or less reasoning with `--effort low`.",
    ),
    (
        "content_filter",
        "A finish reason: a filter of the provider stopped the answer.",
        "Change the prompt, or choose another model.",
    ),
];
