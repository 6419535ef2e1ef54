//! Unusual processes: many threads, forks, signals, and too few of the system's resources.

use std::env;
use std::fs::{self, File};
use std::os::unix::process::parent_id;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::process::{self, Command};
use std::sync::{Arc, mpsc};
use std::task::Poll;
use std::thread;

use plugin_api::{Error, ErrorKind, LogOnly, loader};
use rustix::process::{Pid, Resource, Rlimit, Signal, WaitOptions, getrlimit, kill_process, setrlimit, waitpid};
use serde_json::json;
use tests::faultd::{Faultd, Script, head};
use tests::{Child, LIMIT, block_on, config_at, eventually, openrouter_plugin, poll_once, request, status, wait_for};

use crate::call::{KEY, ask, chat, code, once, plugin_at, stream};

#[test]
fn fault_45_sixty_four_threads_without_a_runtime_call_at_once() {
    let service = Faultd::playing([Script::answer("hello")]);
    let plugin = plugin_at(&service.base_url(), json!({}));
    let answers: Vec<Result<String, Error>> = thread::scope(|scope| {
        let calls = (0..64).map(|number| {
            let plugin = plugin.clone();
            scope.spawn(move || wait_for(ask(&plugin, number % 2 == 0)).map(|reply| reply.text))
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
        .expect("there are threads");
    // Threads that may block, without and with the runtime's own way of waiting, and one that should not block.
    let (first, second, handle) = (plugin.clone(), plugin.clone(), hosts.handle().clone());
    let calls = [
        hosts.spawn_blocking(move || wait_for(ask(&first, false))),
        hosts.spawn_blocking(move || handle.block_on(ask(&second, false))),
        hosts.spawn(async move { wait_for(ask(&plugin, false)) }),
    ];
    for call in calls {
        let answer = hosts.block_on(call).expect("it does not panic").expect("an answer");
        assert_eq!(answer.text, "hello");
    }
}

/// A library that makes the harmless `getppid` fork: the only way to that call without unsafe code.
///
/// - Panics: without a C compiler, which this workspace needs anyway.
fn forking_library(folder: &Path) -> PathBuf {
    let (source, library) = (folder.join("fork.c"), folder.join("fork.so"));
    fs::write(&source, "#include <unistd.h>\npid_t getppid(void) { return fork(); }\n")
        .expect("the folder is writable");
    let mut compiler = Command::new(env::var_os("CC").unwrap_or_else(|| "cc".into()));
    let compiled = compiler
        .args(["-shared", "-fPIC", "-o"])
        .arg(&library)
        .arg(&source)
        .status();
    assert!(
        compiled.is_ok_and(|status| status.success()),
        "expected a C compiler, found none that makes a library; install one, for example with `apt-get install gcc`, or \
         name it in `CC`"
    );
    library
}

#[test]
fn fault_47_a_call_in_a_forked_process_fails_on_its_first_poll() {
    let folder = tempfile::tempdir().expect("the temporary folder is writable");
    let mut child = Child::new();
    if !Child::is_here() {
        child = child.env("LD_PRELOAD", &forking_library(folder.path()).to_string_lossy());
    }
    child.run(|| {
        let service = Faultd::playing([Script::answer("hello"), Script::new().hold()]);
        let plugin = plugin_at(&service.base_url(), json!({}));
        assert_eq!(code(&chat(&plugin)), "ok");
        // This call is under way when the process forks.
        let mut before = Box::pin(ask(&plugin, false));
        assert!(poll_once(before.as_mut()).is_pending());
        service.wait_for_requests(2);

        let report = folder.path().join("report");
        let forked = parent_id();
        if forked == 0 {
            let ends = [false, true].map(|as_stream| match poll_once(pin!(ask(&plugin, as_stream))) {
                Poll::Ready(result) => code(&result),
                Poll::Pending => "pending",
            });
            fs::write(&report, ends.join(" ")).expect("it is writable");
            // Neither of these may wait for threads that do not exist here.
            drop(before);
            drop(plugin);
            fs::write(&report, ends.join(" ") + " dropped").expect("it is writable");
            process::abort();
        }
        let pid = Pid::from_raw(i32::try_from(forked).expect("a process id")).expect("a process id");
        let (over, is_over) = mpsc::channel::<()>();
        let guard = thread::spawn(move || {
            if is_over.recv_timeout(LIMIT) == Err(mpsc::RecvTimeoutError::Timeout) {
                let _ = kill_process(pid, Signal::KILL);
            }
        });
        waitpid(Some(pid), WaitOptions::empty()).expect("it was forked here");
        drop(over);
        guard.join().expect("it does not panic");
        let report = fs::read_to_string(&report).unwrap_or_default();
        assert_eq!(report, "forked forked dropped");
        // The process that forked notices nothing.
        drop(before);
        let service = Faultd::playing([Script::answer("hello")]);
        let second = plugin_at(&service.base_url(), json!({}));
        assert_eq!(code(&chat(&second)), "ok");
    });
}

/// The signals that this thread blocks, and that this process ignores and handles.
fn signals() -> Vec<String> {
    let status = fs::read_to_string("/proc/thread-self/status").expect("Linux has it");
    let names = ["SigBlk:", "SigIgn:", "SigCgt:"];
    let lines = status
        .lines()
        .filter(|line| names.iter().any(|name| line.starts_with(name)));
    lines.map(str::to_owned).collect()
}

#[test]
fn fault_48_the_plugin_leaves_the_hosts_signals_alone() {
    Child::new().run(|| {
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
fn fault_48_writing_to_a_closed_connection_is_an_error_not_a_signal() {
    let service = Faultd::handling(|connection| connection.reset());
    let plugin = plugin_at(&service.base_url(), once());
    // More than the network's buffers hold, so it is still being sent when nobody is there any more.
    let asked = request("acme/model", &"x".repeat(16 << 20));
    for result in [
        block_on(plugin.chat(&asked)),
        block_on(async { plugin.stream(&asked).await?.collect().await }),
    ] {
        assert_eq!(code(&result), "connect", "{:?}", result.err());
    }
}

/// Lowers a limit of this process and returns the previous one.
fn limit(resource: Resource, current: u64) -> Rlimit {
    let before = getrlimit(resource);
    let limit = Rlimit {
        current: Some(current),
        maximum: before.maximum,
    };
    setrlimit(resource, limit).expect("a lower limit is always allowed");
    before
}

/// Opens files until there are no more.
fn take_all_files(held: &mut Vec<File>) {
    while let Ok(file) = File::open("/dev/null") {
        held.push(file);
    }
}

#[test]
fn fault_49_a_process_without_free_files_gets_an_error_and_recovers() {
    // The service is in another process, whose files are not counted.
    let service = Faultd::playing([Script::answer("hello").close()]);
    Child::new().env("SERVICE", &service.base_url()).run(|| {
        let base_url = env::var("SERVICE").expect("the parent set it");
        let plugin = plugin_at(&base_url, once());
        assert_eq!(code(&stream(&plugin)), "ok");
        limit(Resource::Nofile, 64);
        let mut held = Vec::new();
        // `wait_for` needs no files of its own.
        for as_stream in [true, false] {
            // The previous call's connection may still be open, and may close while a call uses it; then there is room
            // for a new one.
            let error = eventually(|| {
                take_all_files(&mut held);
                match wait_for(ask(&plugin, as_stream)) {
                    Err(error) if error.kind == ErrorKind::OVERLOADED => Ok(error),
                    other => Err(format!("{:?}", other.err())),
                }
            });
            assert!(error.message.contains("no free files"), "{error}");
            assert!(error.hint().is_some_and(|hint| hint.contains("ulimit -n")), "{error:?}");
        }
        // More than open the circuit breaker, which is for a service that fails.
        for _ in 0..12 {
            assert_eq!(code(&wait_for(ask(&plugin, true))), "overloaded");
        }
        held.clear();
        for as_stream in [true, false] {
            // The service closes each connection, which the next call may notice only when it uses it.
            eventually(|| wait_for(ask(&plugin, as_stream)));
        }
    });
}

#[test]
fn fault_49_a_plugin_without_free_files_is_not_created() {
    Child::new().run(|| {
        let module = loader::load(&openrouter_plugin()).expect("it loads");
        limit(Resource::Nofile, 64);
        let mut held = Vec::new();
        take_all_files(&mut held);
        let config = config_at("https://openrouter.ai/api/v1", KEY, json!({}));
        let created = module.create(Arc::new(LogOnly::new("openrouter")), &config);
        assert_eq!(code(&created), "internal", "{:?}", created.err());
        held.clear();
        assert!(module.create(Arc::new(LogOnly::new("openrouter")), &config).is_ok());
    });
}

#[test]
fn fault_50_a_plugin_without_a_free_thread_is_not_created() {
    const NOBODY: u32 = 65_534;
    let mut child = Child::new();
    if !Child::is_here() && rustix::process::geteuid().is_root() {
        // The limit does not apply to root.
        child = child.user(NOBODY);
    }
    child.run(|| {
        let service = Faultd::playing([Script::answer("hello")]);
        let module = loader::load(&openrouter_plugin()).expect("it loads");
        let config = config_at(&service.base_url(), KEY, once());
        let before = limit(Resource::Nproc, 1);
        let created = module.create(Arc::new(LogOnly::new("openrouter")), &config);
        let error = created.err().expect("there is no thread for it");
        assert_eq!(error.kind.code(), "internal", "{error:?}");
        assert!(error.message.contains("cannot start"), "{error}");
        setrlimit(Resource::Nproc, before).expect("it was allowed before");
        let plugin = module
            .create(Arc::new(LogOnly::new("openrouter")), &config)
            .expect("a thread is free");
        // The service takes a thread for its connection, and the plugin goes on when there are no more.
        assert_eq!(code(&chat(&plugin)), "ok");
        limit(Resource::Nproc, 1);
        assert_eq!(code(&chat(&plugin)), "ok");
    });
}

#[test]
fn fault_51_a_process_with_little_memory_survives_an_endless_answer() {
    Child::new().run(|| {
        let head = head(200, &[("content-type", "application/json"), ("connection", "close")]);
        let endless = Script::new().send(head).send_forever(vec![b' '; 1 << 16]);
        let service = Faultd::playing([Script::answer("hello"), endless, Script::answer("hello")]);
        let plugin = plugin_at(&service.base_url(), once());
        assert_eq!(code(&chat(&plugin)), "ok");
        let size_kib = status("self", "VmSize").expect("Linux has it");
        limit(Resource::As, (size_kib << 10) + (256 << 20));
        let result = chat(&plugin);
        assert_eq!(code(&result), "too_large", "{:?}", result.err());
        assert_eq!(code(&chat(&plugin)), "ok");
    });
}
