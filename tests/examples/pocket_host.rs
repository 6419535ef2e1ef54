//! The smallest host: loads the plugin at a path, calls it in every way, and prints the answers.
//!
//! The evolution tests build it with several versions of plugin-api, so it uses only that and `std`.

use std::error::Error;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

use plugin_api::{BoxFuture, ChatRequest, Config, HostServices, Level, Message, Payload, VERSION, loader};

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args_os().nth(1).ok_or("expected the path of a plugin")?;
    let module = loader::load(path.as_ref())?;
    let n_problems = wait_for(module.check(Arc::new(Services), &Config::default().options))?.len();
    let plugin = module.create(Arc::new(Services), &Config::default())?;
    let request = |model: &str, text: &str| {
        ChatRequest::new(&[Message::user(text)]).map(|request| ChatRequest {
            model: Some(model.to_owned()),
            ..request
        })
    };
    println!("plugin {} in host {VERSION}", module.manifest().plugin_api);
    println!("check: {n_problems} problems");
    println!("chat: {}", wait_for(plugin.chat(&request("any", "hello")?))?.text);
    println!(
        "host-call: {}",
        wait_for(plugin.chat(&request("host-call", "hello")?))?.text
    );
    println!("log: {}", wait_for(plugin.chat(&request("log", "hello")?))?.text);
    let streamed = wait_for(async { plugin.stream(&request("many", "hello")?).await?.collect().await })?;
    println!("stream: {} words", streamed.text.split_whitespace().count());
    let panicked = wait_for(plugin.chat(&request("panic/call", "hello")?)).map_err(|error| error.kind);
    println!("panic: {:?}", panicked.map(|reply| reply.text));
    // The newer hosts call what is new here.
    wait_for(plugin.shutdown(Duration::from_secs(1)))?;
    Ok(())
}

struct Services;

impl HostServices for Services {
    fn plugin(&self) -> &str {
        "any"
    }

    fn log_enabled(&self, level: Level, _target: &str) -> bool {
        level == Level::Info
    }

    fn log(&self, _level: Level, target: &str, message: &str, _fields_json: &str) {
        println!("{target} says: {message}");
    }

    fn call<'a>(&'a self, method: &'a str, payload: Payload) -> BoxFuture<'a, Result<Payload, plugin_api::Error>> {
        Box::pin(async move { Ok(Payload::from_json(format!("{method} {}", payload.json()))) })
    }
}

/// An executor for one future, on this thread.
fn wait_for<T>(work: impl Future<Output = T>) -> T {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut work = pin!(work);
    loop {
        match work.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(result) => return result,
            Poll::Pending => thread::park(),
        }
    }
}
