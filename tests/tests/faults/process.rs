//! Processes of an odd kind: many threads, forks, signals, and too little of what the system gives.

use std::env;
use std::fs::{self, File};
use std::os::unix::process::parent_id;
use std::path::Path;
use std::pin::pin;
use std::process::{self, Command};
use std::sync::{Arc, mpsc};
use std::task::Poll;
use std::thread;
use std::time::{Duration, Instant};

use plugin_api::{Error, LogOnly, loader};
use rustix::process::{Pid, Resource, Rlimit, Signal, WaitOptions, getrlimit, kill_process, setrlimit, waitpid};
use serde_json::json;
use tests::faultd::{Faultd, Script};
use tests::{poll_once, request, wait_for};

use crate::bench::{KEY, chat, code, config_with, library, once, plugin_at, stream};
use crate::child::Child;

#[test]
fn fault_45_sixty_four_threads_without_a_runtime_call_at_once() {
    let service = Faultd::playing([Script::answer("hello")]);
    let plugin = plugin_at(&service.base_url(), json!({}));
    let answers: Vec<Result<String, Error>> = thread::scope(|scope| {
        let calls = (0..64).map(|number| {
            let plugin = plugin.clone();
            scope.spawn(move || {
                let asked = request("acme/model", "hello");
                let reply = match number % 2 {
                    0 => wait_for(plugin.chat(&asked))?,
                    _ => wait_for(async { plugin.stream(&asked).await?.collect().await })?,
                };
                Ok(reply.text)
            })
        });
        let calls: Vec<_> = calls.collect();
        calls
            .into_iter()
            .map(|call| call.join().expect("it does not panic"))
            .collect()
    });
    assert_eq!(answers, vec![Ok("hello".to_owned()); 64]);
    assert_eq!(service.requests().len(), 64);
}

#[test]
fn fault_45_a_thread_of_another_runtime_may_block_on_a_call() {
    let service = Faultd::playing([Script::answer("hello")]);
    let plugin = plugin_at(&service.base_url(), json!({}));
    let hosts = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("threads are to be had");
    let (within, beside) = (plugin.clone(), plugin.clone());
    let text = hosts.block_on(async move {
        let asked = request("acme/model", "hello");
        // One on a thread that may block, one on a thread that should not.
        let blocking = tokio::task::spawn_blocking(move || wait_for(beside.chat(&request("acme/model", "hello"))));
        let first = blocking.await.expect("it does not panic").expect("an answer").text;
        let handle = tokio::runtime::Handle::current();
        let second = tokio::task::spawn_blocking(move || handle.block_on(within.chat(&asked)));
        first + &second.await.expect("it does not panic").expect("an answer").text
    });
    let direct = hosts.spawn(async move { wait_for(plugin.chat(&request("acme/model", "hello"))) });
    let direct = hosts
        .block_on(direct)
        .expect("it does not panic")
        .expect("an answer")
        .text;
    assert_eq!(text + &direct, "hellohellohello");
}

/// A library that makes the harmless `getppid` fork: the only way to that call without unsafe code.
fn forking_library(folder: &Path) -> Option<std::path::PathBuf> {
    let (source, library) = (folder.join("fork.c"), folder.join("fork.so"));
    fs::write(&source, "#include <unistd.h>\npid_t getppid(void) { return fork(); }\n")
        .expect("the folder is writable");
    let mut compiler = Command::new(env::var_os("CC").unwrap_or_else(|| "cc".into()));
    let compiled = compiler
        .args(["-shared", "-fPIC", "-o"])
        .arg(&library)
        .arg(&source)
        .status();
    compiled.is_ok_and(|status| status.success()).then_some(library)
}

#[test]
fn fault_47_a_process_that_was_forked_is_told_so_at_once() {
    const TEST: &str = "process::fault_47_a_process_that_was_forked_is_told_so_at_once";
    let folder = tempfile::tempdir().expect("the temporary folder is writable");
    let mut child = Child::of(TEST);
    if !child.is_here() {
        let Some(library) = forking_library(folder.path()) else {
            eprintln!("not run: {TEST}: there is no C compiler");
            return;
        };
        child = child.env("LD_PRELOAD", &library.to_string_lossy());
    }
    child.run(|| {
        let service = Faultd::playing([Script::answer("hello"), Script::new().hold()]);
        let plugin = plugin_at(&service.base_url(), json!({}));
        assert_eq!(code(&chat(&plugin)), "ok");
        // Is under way when the process is forked.
        let mut before = Box::pin(plugin.chat(&request("acme/model", "hello")));
        assert!(poll_once(before.as_mut()).is_pending());
        service.wait_for_requests(2);

        let report = folder.path().join("report");
        let forked = parent_id();
        if forked == 0 {
            let begun = Instant::now();
            let called = poll_once(pin!(plugin.chat(&request("acme/model", "hello"))));
            let opened = poll_once(pin!(plugin.stream(&request("acme/model", "hello"))));
            let took = begun.elapsed();
            let called = match called {
                Poll::Ready(result) => code(&result),
                Poll::Pending => "pending",
            };
            let opened = match opened {
                Poll::Ready(result) => code(&result),
                Poll::Pending => "pending",
            };
            fs::write(&report, format!("{called} {opened} {}", took < Duration::from_secs(1))).expect("it is writable");
            // What was under way is dropped here, too, and so is the plugin: neither may wait for threads that are not there.
            drop(before);
            drop(plugin);
            fs::write(
                &report,
                format!("{called} {opened} {} dropped", took < Duration::from_secs(1)),
            )
            .expect("it is writable");
            process::abort();
        }
        let pid = Pid::from_raw(i32::try_from(forked).expect("a process id")).expect("a process id");
        let (over, is_over) = mpsc::channel::<()>();
        let guard = thread::spawn(move || {
            if is_over.recv_timeout(Duration::from_secs(20)) == Err(mpsc::RecvTimeoutError::Timeout) {
                let _ = kill_process(pid, Signal::KILL);
            }
        });
        waitpid(Some(pid), WaitOptions::empty()).expect("it was forked here");
        drop(over);
        guard.join().expect("it does not panic");
        assert_eq!(
            fs::read_to_string(&report).unwrap_or_default(),
            "forked forked true dropped"
        );
        // The process that forked notices nothing.
        drop(before);
        let service = Faultd::playing([Script::answer("hello")]);
        let second = plugin_at(&service.base_url(), json!({}));
        assert_eq!(code(&chat(&second)), "ok");
    });
}

/// The signals that this thread blocks and this process ignores and handles, as Linux tells them.
fn signals() -> Vec<String> {
    let status = fs::read_to_string("/proc/thread-self/status").expect("Linux tells it");
    let names = ["SigBlk:", "SigIgn:", "SigCgt:"];
    let lines = status
        .lines()
        .filter(|line| names.iter().any(|name| line.starts_with(name)));
    lines.map(str::to_owned).collect()
}

#[test]
fn fault_48_the_hosts_signals_stay_as_they_were() {
    Child::of("process::fault_48_the_hosts_signals_stay_as_they_were").run(|| {
        let before = signals();
        assert_eq!(before.len(), 3);
        let service = Faultd::playing([Script::answer("hello"), Script::new().reset()]);
        let plugin = plugin_at(&service.base_url(), once());
        assert_eq!(signals(), before, "a plugin was created");
        assert_eq!(code(&stream(&plugin)), "ok");
        assert_eq!(signals(), before, "a call was made");
        assert_eq!(code(&stream(&plugin)), "connect");
        drop(plugin);
        assert_eq!(signals(), before, "the plugin was dropped");
    });
}

#[test]
fn fault_48_a_request_to_somebody_who_has_gone_is_an_error_and_no_signal() {
    let service = Faultd::handling(|connection| connection.reset());
    let plugin = plugin_at(&service.base_url(), json!({"retry": {"attempts": 2}}));
    // More than the buffers of the network hold, so that it is still being sent when nobody is there any more.
    let long = "x".repeat(16 << 20);
    let asked = request("acme/model", &long);
    for result in [
        tests::block_on(plugin.chat(&asked)),
        tests::block_on(async { plugin.stream(&asked).await?.collect().await }),
    ] {
        assert_eq!(code(&result), "connect", "{:?}", result.err());
    }
}

fn limited(resource: Resource, current: u64) -> Rlimit {
    let before = getrlimit(resource);
    let limit = Rlimit {
        current: Some(current),
        maximum: before.maximum,
    };
    setrlimit(resource, limit).expect("a lower limit is always allowed");
    before
}

#[test]
fn fault_49_a_process_without_free_files_gets_an_error_and_recovers() {
    // The service is in another process, whose files are not counted.
    let service = Faultd::playing([Script::answer("hello").close()]);
    Child::of("process::fault_49_a_process_without_free_files_gets_an_error_and_recovers")
        .env("SERVICE", &service.base_url())
        .run(|| {
            let base_url = env::var("SERVICE").expect("the parent set it");
            let plugin = plugin_at(&base_url, once());
            assert_eq!(code(&stream(&plugin)), "ok");
            // The kit's waiting needs files of its own.
            let wait = |as_stream: bool| {
                let asked = request("acme/model", "hello");
                match as_stream {
                    true => wait_for(async { plugin.stream(&asked).await?.collect().await }),
                    false => wait_for(plugin.chat(&asked)),
                }
            };
            limited(Resource::Nofile, 64);
            let mut held: Vec<File> = Vec::new();
            for as_stream in [true, false] {
                // The connection of the call before may still have been there, and have made room for this one.
                let refused = (0..10).find_map(|_| {
                    while let Ok(file) = File::open("/dev/null") {
                        held.push(file);
                    }
                    wait(as_stream).err()
                });
                let error = refused.expect("there is no file for a connection");
                assert_eq!(error.kind.code(), "connect", "{error:?}");
            }
            held.clear();
            for as_stream in [true, false] {
                // The service closes each connection, which may be seen only when the next call is on it.
                let answer = (0..10).map(|_| wait(as_stream)).find(Result::is_ok);
                assert!(answer.is_some(), "there are files again");
            }
        });
}

#[test]
fn fault_49_a_plugin_that_finds_no_free_files_is_not_created_and_says_why() {
    Child::of("process::fault_49_a_plugin_that_finds_no_free_files_is_not_created_and_says_why").run(|| {
        let module = loader::load(&library()).expect("it fits");
        limited(Resource::Nofile, 64);
        let mut held: Vec<File> = Vec::new();
        while let Ok(file) = File::open("/dev/null") {
            held.push(file);
        }
        let config = config_with(&[("OPENROUTER_API_KEY", KEY)], json!({}));
        let created = module.create(Arc::new(LogOnly::new("openrouter")), &config);
        assert_eq!(code(&created), "internal", "{:?}", created.err());
        held.clear();
        assert!(module.create(Arc::new(LogOnly::new("openrouter")), &config).is_ok());
    });
}

#[test]
fn fault_50_a_plugin_that_gets_no_thread_is_not_created_and_says_why() {
    const NOBODY: u32 = 65_534;
    let mut child = Child::of("process::fault_50_a_plugin_that_gets_no_thread_is_not_created_and_says_why");
    if !child.is_here() && rustix::process::geteuid().is_root() {
        // The limit does not hold for the system's first user.
        child = child.user(NOBODY);
    }
    child.run(|| {
        let service = Faultd::playing([Script::answer("hello")]);
        let module = loader::load(&library()).expect("it fits");
        let base_url = service.base_url();
        let environment = [("OPENROUTER_API_KEY", KEY), ("OPENROUTER_BASE_URL", base_url.as_str())];
        let config = config_with(&environment, once());
        let before = limited(Resource::Nproc, 1);
        let created = module.create(Arc::new(LogOnly::new("openrouter")), &config);
        let error = created.err().expect("there is no thread for it");
        assert_eq!(error.kind.code(), "internal", "{error:?}");
        assert!(error.message.contains("could not start"), "{error}");
        setrlimit(Resource::Nproc, before).expect("it was allowed before");
        let plugin = module
            .create(Arc::new(LogOnly::new("openrouter")), &config)
            .expect("a thread is free");
        // A plugin that is there goes on when there are no threads any more; the service is, too.
        assert_eq!(code(&chat(&plugin)), "ok");
        limited(Resource::Nproc, 1);
        assert_eq!(code(&chat(&plugin)), "ok");
    });
}

#[test]
fn fault_51_a_process_with_little_memory_survives_an_answer_without_end() {
    Child::of("process::fault_51_a_process_with_little_memory_survives_an_answer_without_end").run(|| {
        let head = tests::faultd::head(200, &[("content-type", "application/json"), ("connection", "close")]);
        let endless = Script::new().send(head).send_forever(vec![b' '; 1 << 16]);
        let service = Faultd::playing([Script::answer("hello"), endless, Script::answer("hello")]);
        let plugin = plugin_at(&service.base_url(), once());
        assert_eq!(code(&chat(&plugin)), "ok");
        let status = fs::read_to_string("/proc/self/status").expect("Linux tells it");
        let size_kib: u64 = status
            .lines()
            .find_map(|line| line.strip_prefix("VmSize:")?.split_whitespace().next()?.parse().ok())
            .expect("Linux tells it");
        limited(Resource::As, (size_kib << 10) + (256 << 20));
        let result = chat(&plugin);
        assert_eq!(code(&result), "too_large", "{:?}", result.err());
        assert_eq!(code(&chat(&plugin)), "ok");
    });
}
