//! The monitor's library, as CMake finds it, and as it comes and goes with `--monitor`.

use super::{Installed, SONAME, dynamic, files, install};
use crate::build::{ROOT, Scratch, command, monitor_library, succeed};

const MONITOR_SONAME: &str = "libhangwatch_monitor.so.0";
/// A host program that runs the monitor until it has seen what it is to see.
const HOST: &str = "examples/c_monitor.c";

#[test]
fn a_stranger_builds_a_host_of_the_monitor_by_cmake() {
    // Built with what the other tests of the monitor build.
    monitor_library();
    let installed = Installed::with(&["--monitor"]);
    let project = "cmake_minimum_required(VERSION 3.13)\n\
        project(host C)\n\
        set(THREADS_PREFER_PTHREAD_FLAG ON)\n\
        find_package(Threads REQUIRED)\n\
        find_package(hangwatch REQUIRED COMPONENTS monitor monitor_static)\n\
        foreach(target monitor monitor_static)\n\
        \x20 add_executable(with_${target} ${HOST})\n\
        \x20 target_link_libraries(with_${target} PRIVATE hangwatch::${target} Threads::Threads)\n\
        endforeach()\n";
    installed.scratch.write("CMakeLists.txt", project);
    let build = installed.scratch.path("build");
    let mut configure = installed.command("cmake");
    configure.arg("-S").arg(installed.scratch.path(".")).arg("-B").arg(&build);
    configure.arg(format!("-DCMAKE_PREFIX_PATH={}", installed.prefix.display()));
    succeed(configure.arg(format!("-DHOST={ROOT}/{HOST}")));
    succeed(command("cmake").arg("--build").arg(&build));
    for (target, asks) in [("monitor", true), ("monitor_static", false)] {
        let program = build.join(format!("with_{target}"));
        let needed = dynamic(&program, "NEEDED");
        assert_eq!(needed.contains(&MONITOR_SONAME.to_string()), asks, "hangwatch::{target}: {needed:?}");
        assert!(!needed.contains(&SONAME.to_string()), "one library holds all: {needed:?}");
        let said = succeed(command(&program).arg(installed.scratch.path(&format!("{target}.segment"))));
        assert!(said.contains("stalled in inference"), "its monitor told of the hang: {said}");
    }
}

#[test]
fn the_monitor_comes_and_goes_with_its_option() {
    monitor_library();
    let scratch = Scratch::new();
    let prefix = scratch.path("prefix");
    let now = |options: &[&str]| {
        succeed(install(options).arg("--prefix").arg(&prefix));
        files(&prefix).into_iter().filter(|file| file.to_string_lossy().contains("hangwatch_monitor")).count()
    };
    assert_eq!(now(&[]), 0, "nobody asked for it");
    assert_eq!(now(&["--monitor"]), 8, "three names, an archive, two headers, a file for pkg-config and one for CMake");
    assert_eq!(now(&[]), 0, "an installation without it takes it away");
}
