//! Route precedence and methods.

use std::time::Duration;

use gateway_config::{Action, RouteTimeouts};
use http::StatusCode;

use super::*;

fn route(name: &str, hosts: &[&str], path: PathMatch, methods: &[Method]) -> Route {
    let second = Duration::from_secs(1);
    Route {
        name: name.parse().expect("a name"),
        hosts: hosts.iter().map(|host| host.parse().expect("a host")).collect(),
        path,
        methods: methods.to_vec(),
        action: Action::Respond { status: StatusCode::OK, body: String::new() },
        websocket: false,
        require_origin: false,
        body_limit: 0,
        timeouts: RouteTimeouts { first_byte: second, idle: second, websocket_idle: second },
        rate_limit: None,
    }
}

fn prefix(path: &str) -> PathMatch {
    PathMatch::Prefix(path.to_owned())
}

fn exact(path: &str) -> PathMatch {
    PathMatch::Exact(path.to_owned())
}

fn find(router: &Router, host: &str, path: &str, method: Method) -> Found {
    router.find(&Host::parse(host).expect("a host"), path, &method)
}

#[test]
fn the_most_specific_route_wins_regardless_of_the_order() {
    let routes = [
        route("any", &[], prefix("/"), &[]),
        route("api", &[], prefix("/api/"), &[]),
        route("one", &[], exact("/api/one"), &[]),
        route("deep", &[], prefix("/api/deep"), &[]),
        route("wild", &["*.example.org"], prefix("/"), &[]),
        route("host", &["chat.example.org"], prefix("/only"), &[]),
    ];
    let expect = |host: &str, path: &str, index: usize| {
        for backwards in [false, true] {
            let mut list = routes.to_vec();
            if backwards {
                list.reverse();
            }
            let found = find(&Router::new(&list), host, path, Method::GET);
            let position =
                list.iter().position(|route| Some(route) == routes.get(index)).expect("listed");
            assert_eq!(found, Found::Route(position), "{host} {path} backwards: {backwards}");
        }
    };
    expect("x", "/", 0);
    expect("x", "/apix", 0);
    expect("x", "/api", 1);
    expect("x", "/api/", 1);
    expect("x", "/api/one", 2);
    expect("x", "/api/one/more", 1);
    expect("x", "/api/deep/er", 3);
    expect("a.b.example.org", "/api", 4);
    expect("example.org", "/api", 1);
    expect("chat.example.org", "/only/this", 5);
    expect("chat.example.org", "/else", 4);
}

#[test]
fn another_method_gets_the_allowed_methods() {
    let router = Router::new(&[
        route("get", &[], exact("/a"), &[Method::GET]),
        route("post", &[], exact("/a"), &[Method::POST]),
    ]);
    assert_eq!(find(&router, "x", "/a", Method::GET), Found::Route(0));
    assert_eq!(find(&router, "x", "/a", Method::HEAD), Found::Route(0));
    assert_eq!(find(&router, "x", "/a", Method::POST), Found::Route(1));
    assert_eq!(find(&router, "x", "/a", Method::PUT), Found::OtherMethods("GET, POST".into()));
    assert_eq!(find(&router, "x", "/b", Method::GET), Found::Nothing);
}

proptest::proptest! {
    #[test]
    fn a_prefix_matches_only_whole_segments(configured in "(/[ab]{1,2}){1,3}", asked in "(/[ab]{0,2}){1,4}") {
        let router = Router::new(&[route("r", &[], prefix(&configured), &[])]);
        let segments = |path: &str| path.split('/').map(str::to_owned).collect::<Vec<_>>();
        let expected = segments(&asked).starts_with(&segments(&configured));
        proptest::prop_assert_eq!(find(&router, "x", &asked, Method::GET) == Found::Route(0), expected);
    }
}
