//! A second server that follows the first and can take its place.

use super::{Postgres, ROLE, as_user, launch, lock_file, make_folder, program, said, wait_until};

impl Postgres {
    /// A server that follows this one. From then on this one acknowledges only what the other has
    /// as well.
    #[must_use]
    pub fn replica(&self) -> Self {
        let folder = self.folder.with_extension("replica");
        let lock = lock_file(&folder, "lock");
        lock.lock_shared().expect("lock the server's file");
        make_folder(&folder);
        let copied = as_user(&program("pg_basebackup"))
            .args(["-h", "127.0.0.1", "-U", ROLE, "-c", "fast", "-R", "-p"])
            .arg(self.port.to_string())
            .arg("-D")
            .arg(folder.join("data"))
            .output();
        said(copied, "pg_basebackup");
        launch(&folder, &[]);
        let port = std::fs::read_to_string(folder.join("port"));
        let replica = Self {
            port: port
                .expect("the server says its port")
                .parse()
                .expect("a port"),
            folder,
            _lock: lock,
        };
        self.run(
            "postgres",
            "ALTER SYSTEM SET synchronous_standby_names = '*'",
        );
        self.control(&["reload"]);
        wait_until("the replica follows", || {
            let followers = self.run("postgres", "TABLE pg_stat_replication");
            followers.split('|').any(|column| column == "sync")
        });
        replica
    }

    /// The replica takes the place of the server it followed.
    pub fn promote(&self) {
        self.control(&["promote"]);
    }
}
