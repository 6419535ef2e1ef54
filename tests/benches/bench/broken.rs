//! Shows what each way reports of a stream that is not whole: a client that checks less has less to do.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use super::way::{Ask, Heard, Way};

/// What is wrong, and the model of the service that does it.
const MODELS: [(&str, &str); 4] = [
    ("body ends early", "sandbox/cut"),
    ("connection breaks", "sandbox/cut-connection"),
    ("no finish reason", "sandbox/no-finish-reason"),
    ("error in a chunk", "sandbox/mid-stream-error"),
];
const LIMIT: Duration = Duration::from_secs(20);

/// Asks each broken model once.
pub async fn print(ways: &[(&str, &Arc<dyn Way>)]) {
    println!("\nWhat is reported of a stream that is not whole:");
    let headings: String = MODELS.iter().map(|(what, _)| format!(" {what:>18}")).collect();
    println!("{:<26}{headings}", "");
    for (name, way) in ways {
        let mut texts = String::new();
        for (_, model) in MODELS {
            texts += &format!(" {:>18}", reported(way, model).await);
        }
        println!("{name:<26}{texts}");
    }
}

async fn reported(way: &Arc<dyn Way>, model: &'static str) -> &'static str {
    let mut heard = Heard::default();
    match timeout(LIMIT, way.ask(Ask { model, stream: true }, &mut heard)).await {
        Ok(Ok(())) => "a whole answer",
        Ok(Err(_)) => "error",
        Err(_) => "nothing in 20 s",
    }
}
