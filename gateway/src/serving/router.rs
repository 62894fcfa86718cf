//! Maps host, path and method to a route: a pure function of the configuration. Hosts before paths,
//! exact before wildcard, the longest prefix first.

mod host;
mod path;

pub(crate) use host::Host;
pub(crate) use path::normalise;

use std::collections::HashMap;

use gateway_config::{HostPattern, PathMatch, Route};
use http::Method;

/// Finds the route of a request. Routes are indices into the list that the router was built from.
#[derive(Debug, Default)]
pub(crate) struct Router {
    methods: Vec<Vec<Method>>,
    exact_hosts: HashMap<String, Paths>,
    wildcard_hosts: HashMap<String, Paths>,
    any_host: Paths,
}

/// The result of a lookup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// This route.
    Route(usize),
    /// The path has routes, but none for this method; the value is the `Allow` header field.
    OtherMethods(String),
    /// No route.
    Nothing,
}

/// Routes of one host pattern, by path; routes with the same path differ by method.
#[derive(Debug, Default)]
struct Paths {
    exact: HashMap<String, Vec<usize>>,
    /// Longest first, without the trailing slash.
    prefixes: Vec<(String, Vec<usize>)>,
}

impl Router {
    /// Builds a router for these routes.
    pub(crate) fn new(routes: &[Route]) -> Self {
        let mut router = Self {
            methods: routes.iter().map(|route| route.methods.clone()).collect(),
            ..Self::default()
        };
        for (index, route) in routes.iter().enumerate() {
            if route.hosts.is_empty() {
                router.any_host.insert(&route.path, index);
            }
            for host in &route.hosts {
                let paths = match host {
                    HostPattern::Exact(host) => router.exact_hosts.entry(host.clone()).or_default(),
                    HostPattern::Wildcard(host) => {
                        router.wildcard_hosts.entry(host.clone()).or_default()
                    }
                };
                paths.insert(&route.path, index);
            }
        }
        router.any_host.sort();
        router
            .exact_hosts
            .values_mut()
            .chain(router.wildcard_hosts.values_mut())
            .for_each(Paths::sort);
        router
    }

    /// The route for a host, a [normalised](normalise) path without a query, and a method.
    pub(crate) fn find(&self, host: &Host, path: &str, method: &Method) -> Found {
        let name = host.as_str();
        let parents = name.match_indices('.').filter_map(|(dot, _)| name.get(dot + 1..));
        let candidates = std::iter::once(self.exact_hosts.get(name))
            .chain(parents.map(|parent| self.wildcard_hosts.get(parent)))
            .chain([Some(&self.any_host)]);
        for paths in candidates.flatten() {
            if let Some(routes) = paths.find(path) {
                return self.by_method(routes, method);
            }
        }
        Found::Nothing
    }

    fn by_method(&self, routes: &[usize], method: &Method) -> Found {
        let mut allowed: Vec<&Method> = Vec::new();
        for route in routes {
            let methods = self.methods.get(*route).map(Vec::as_slice).unwrap_or_default();
            // RFC 9110 section 9.3.2: a resource that supports GET supports HEAD.
            let head = *method == Method::HEAD && methods.contains(&Method::GET);
            if methods.is_empty() || methods.contains(method) || head {
                return Found::Route(*route);
            }
            allowed.extend(methods);
        }
        let names: Vec<&str> = allowed.into_iter().map(Method::as_str).collect();
        Found::OtherMethods(names.join(", "))
    }
}

impl Paths {
    fn insert(&mut self, path: &PathMatch, route: usize) {
        match path {
            PathMatch::Exact(path) => self.exact.entry(path.clone()).or_default().push(route),
            PathMatch::Prefix(prefix) => {
                let prefix = prefix.trim_end_matches('/');
                match self.prefixes.iter_mut().find(|(known, _)| known == prefix) {
                    Some((_, routes)) => routes.push(route),
                    None => self.prefixes.push((prefix.to_owned(), vec![route])),
                }
            }
        }
    }

    fn sort(&mut self) {
        self.prefixes.sort_by_key(|(prefix, _)| std::cmp::Reverse(prefix.len()));
    }

    fn find(&self, path: &str) -> Option<&[usize]> {
        let by_prefix = || {
            let below = |prefix: &str| {
                path.strip_prefix(prefix)
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            };
            self.prefixes.iter().find(|(prefix, _)| below(prefix)).map(|(_, routes)| routes)
        };
        self.exact.get(path).or_else(by_prefix).map(Vec::as_slice)
    }
}

#[cfg(test)]
mod tests;
