//! File watching: every way to change a file is detected.

use std::os::unix::fs::symlink;

use gateway::Options;

use crate::support::{FRONT, TestGateway, eventually, fixed_route};

#[tokio::test]
async fn a_file_replaced_by_rename_is_reloaded() {
    let gateway = TestGateway::following(&format!("{FRONT}{}", fixed_route("before"))).await;
    for word in ["after", "again"] {
        gateway.write_config(&format!("{FRONT}{}", fixed_route(word)));
        eventually(word.to_owned(), || gateway.get("/word")).await;
    }
}

#[tokio::test]
async fn a_file_written_in_place_is_reloaded() {
    let gateway = TestGateway::following(&format!("{FRONT}{}", fixed_route("before"))).await;
    std::fs::write(gateway.path("gateway.toml"), format!("{FRONT}{}", fixed_route("after")))
        .unwrap();
    eventually("after".to_owned(), || gateway.get("/word")).await;
}

/// Kubernetes mounts `gateway.toml → ..data/gateway.toml` and `..data → ..2026_01`, and replaces
/// `..data` by a rename.
#[tokio::test]
async fn a_swapped_symlink_of_a_mounted_config_map_is_reloaded() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    let version = |name: &str, word: &str| {
        std::fs::create_dir(at(name)).unwrap();
        std::fs::write(at(name).join("gateway.toml"), format!("{FRONT}{}", fixed_route(word)))
            .unwrap();
    };
    version("..2026_01", "before");
    symlink("..2026_01", at("..data")).unwrap();
    symlink("..data/gateway.toml", at("gateway.toml")).unwrap();
    let gateway =
        TestGateway::start_in(directory, "gateway.toml", Options::default()).await.unwrap();
    assert_eq!(gateway.get("/word").await, "before");

    for (name, old, word) in
        [("..2026_02", "..2026_01", "after"), ("..2026_03", "..2026_02", "again")]
    {
        let at = |name: &str| gateway.path(name);
        std::fs::create_dir(at(name)).unwrap();
        std::fs::write(at(name).join("gateway.toml"), format!("{FRONT}{}", fixed_route(word)))
            .unwrap();
        symlink(name, at("..data_tmp")).unwrap();
        std::fs::rename(at("..data_tmp"), at("..data")).unwrap();
        std::fs::remove_dir_all(at(old)).unwrap();
        eventually(word.to_owned(), || gateway.get("/word")).await;
    }
}

#[tokio::test]
async fn a_corrected_file_is_applied() {
    let gateway = TestGateway::following(&format!("{FRONT}{}", fixed_route("before"))).await;
    gateway.write_config("nonsense");
    let failures =
        || async { gateway.metric("gateway_config_reloads_total{result=\"failure\"}").await };
    eventually(Some(1.0), failures).await;
    assert_eq!(gateway.get("/word").await, "before");
    gateway.write_config(&format!("{FRONT}{}", fixed_route("mended")));
    eventually("mended".to_owned(), || gateway.get("/word")).await;
}
