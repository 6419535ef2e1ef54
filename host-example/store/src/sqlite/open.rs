//! Opens the file: creates it for its owner alone, moves a damaged one aside, brings it up to date.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use super::histogram;
use super::schema::{MIGRATIONS, NEWEST};
use super::{Opened, Sqlite};
use crate::error::Error;
use crate::now_ms;

/// How a file of SQLite begins. Source: SQLite's description of its file format, 1.3.
const HEAD: &[u8] = b"SQLite format 3\0";
/// What marks a file of this program: `agho` in ASCII.
const APPLICATION: i32 = 0x6167_686f;
/// How long a program waits for another one that writes.
const BUSY: Duration = Duration::from_secs(5);
/// Between two attempts to get a lock that others hold.
const PAUSE: Duration = Duration::from_millis(10);
/// What SQLite writes beside its file.
const SIDES: [&str; 2] = ["-wal", "-shm"];

impl Sqlite {
    /// Gives the file another name if it is damaged anywhere, which opening it does not find out. Call this when a store
    /// has said that it is damaged, and after dropping it.
    ///
    /// - Out: the other name.
    pub fn set_aside(path: &Path) -> Result<Option<PathBuf>, Error> {
        move_aside(&whole(path)?, |path| {
            let connection = connected_in_place(path)?;
            let found: String = connection.pragma_query_value(None, "quick_check", |row| row.get(0))?;
            if found == "ok" { Ok(()) } else { Err(Error::Damaged) }
        })
    }

    /// Opens the file, and creates it if it is missing.
    ///
    /// - In: a file in a folder that exists and that no other user may write to.
    /// - Out: a damaged file is not lost: it gets another name, and an empty one takes its place.
    /// - Errors: it cannot be read or written; it is a link; a newer program has written it.
    pub fn open(path: &Path) -> Result<Opened, Error> {
        let path = &whole(path)?;
        create(path)?;
        let mut damaged = None;
        let connection = match connected(path) {
            Err(Error::Damaged) => {
                if !is_sqlite(path)? {
                    return Err(Error::Foreign(path.clone()));
                }
                damaged = move_aside(path, |path| connected_in_place(path).map(drop))?;
                create(path)?;
                connected(path)?
            }
            connected => connected?,
        };
        let store = Self {
            connection,
            path: path.clone(),
            series: Default::default(),
        };
        Ok(Opened { store, damaged })
    }
}

/// Whether the file begins as every file of SQLite does. Only for one that SQLite refuses: closing a file releases the
/// locks of this process on it.
fn is_sqlite(path: &Path) -> Result<bool, Error> {
    let mut head = Vec::new();
    let file = File::open(path).map_err(|cause| file_error("read", path, cause))?;
    file.take(HEAD.len() as u64)
        .read_to_end(&mut head)
        .map_err(|cause| file_error("read", path, cause))?;
    Ok(head == HEAD)
}

/// The path with a folder that has no links in it: SQLite then refuses those that are left.
fn whole(path: &Path) -> Result<PathBuf, Error> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    let whole = fs::canonicalize(folder).map_err(|cause| file_error("find", folder, cause))?;
    match path.file_name() {
        Some(name) => Ok(whole.join(name)),
        None => Err(file_error("open", path, io::ErrorKind::InvalidInput.into())),
    }
}

fn file_error(doing: &'static str, path: &Path, cause: io::Error) -> Error {
    let path = path.to_owned();
    Error::File { doing, path, cause }
}

/// Creates the file for its owner alone, and takes an existing one from others.
///
/// SQLite gives the files beside it the same mode. An existing file is not opened: closing it again would release the
/// locks that other threads of this process hold on it.
fn create(path: &Path) -> Result<(), Error> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Ok(_) => return Ok(()),
        Err(cause) if cause.kind() == io::ErrorKind::AlreadyExists => {}
        Err(cause) => return Err(file_error("create", path, cause)),
    }
    let found = fs::symlink_metadata(path).map_err(|cause| file_error("read", path, cause))?;
    if !found.is_file() {
        let cause = io::Error::other("expected a regular file; links are not followed");
        return Err(file_error("open", path, cause));
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        if found.permissions().mode() & 0o077 != 0 {
            let private = fs::Permissions::from_mode(0o600);
            fs::set_permissions(path, private).map_err(|cause| file_error("protect", path, cause))?;
        }
    }
    Ok(())
}

fn connected(path: &Path) -> Result<Connection, Error> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NOFOLLOW | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY)?;
    // A file that somebody has tampered with runs no code.
    connection.set_db_config(rusqlite::config::DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    // What is deleted is overwritten.
    connection.pragma_update(None, "secure_delete", true)?;
    connection.pragma_update(None, "journal_size_limit", 4 << 20)?;
    histogram::register(&connection)?;
    let application: i32 = connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
    if version(&connection)? != 0 && application != APPLICATION {
        return Err(Error::Foreign(path.to_owned()));
    }
    if version(&connection)? != NEWEST {
        migrate(&mut connection, path)?;
    }
    Ok(connection)
}

fn version(connection: &Connection) -> Result<i64, Error> {
    Ok(connection.pragma_query_value(None, "user_version", |row| row.get(0))?)
}

/// Runs the steps that the file lacks.
fn migrate(connection: &mut Connection, path: &Path) -> Result<(), Error> {
    // Two programs that create the file at once would fail at the change to WAL, which waits for nobody.
    let _alone = lock(path)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let found = version(&transaction)?;
    let Some(missing) = usize::try_from(found).ok().and_then(|found| MIGRATIONS.get(found..)) else {
        let path = path.to_owned();
        let known = NEWEST;
        return Err(Error::Newer { path, found, known });
    };
    if found == 0 {
        let n_tables: i64 = transaction.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
        if n_tables > 0 {
            return Err(Error::Foreign(path.to_owned()));
        }
        transaction.pragma_update(None, "application_id", APPLICATION)?;
    }
    for step in missing {
        transaction.execute_batch(step)?;
    }
    transaction.pragma_update(None, "user_version", NEWEST)?;
    Ok(transaction.commit()?)
}

/// Gives a damaged file another name.
///
/// - In: `check`, which finds the damage.
/// - Out: `None` if another program has done so already.
fn move_aside(path: &Path, check: impl Fn(&Path) -> Result<(), Error>) -> Result<Option<PathBuf>, Error> {
    let _alone = lock(path)?;
    if !matches!(check(path), Err(Error::Damaged)) {
        return Ok(None);
    }
    let beside = |path: &Path, ending: &str| {
        let mut name = path.as_os_str().to_owned();
        name.push(ending);
        PathBuf::from(name)
    };
    let moved = beside(path, &format!(".damaged-{}", now_ms()));
    fs::rename(path, &moved).map_err(|cause| file_error("move", path, cause))?;
    for side in SIDES {
        match fs::rename(beside(path, side), beside(&moved, side)) {
            Err(cause) if cause.kind() != io::ErrorKind::NotFound => return Err(file_error("move", path, cause)),
            _ => {}
        }
    }
    Ok(Some(moved))
}

/// Opens the file as it is.
fn connected_in_place(path: &Path) -> Result<Connection, Error> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY)?;
    version(&connection)?;
    Ok(connection)
}

/// Keeps other programs from creating, moving and migrating the file.
fn lock(path: &Path) -> Result<File, Error> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let name = PathBuf::from(name);
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(&name).map_err(|cause| file_error("open", &name, cause))?;
    let begun = Instant::now();
    while let Err(cause) = file.try_lock() {
        match cause {
            fs::TryLockError::WouldBlock if begun.elapsed() < BUSY => std::thread::sleep(PAUSE),
            fs::TryLockError::WouldBlock => return Err(Error::Busy),
            fs::TryLockError::Error(cause) => return Err(file_error("lock", &name, cause)),
        }
    }
    Ok(file)
}
