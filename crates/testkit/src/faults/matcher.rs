//! Which requests a rule is for.

use std::fmt;
use std::sync::Arc;

use http::Method;

use super::seen::{KubeResource, Seen};

type Predicate = Arc<dyn Fn(&Seen) -> bool + Send + Sync>;

/// Conditions on a request, all of which must hold. Start from one of the constructors and narrow it.
#[derive(Clone, Default)]
pub struct Matcher {
    conditions: Vec<Predicate>,
    nth: u64,
    text: String,
}

impl Matcher {
    /// Every request.
    #[must_use]
    pub fn any() -> Self {
        Self::default()
    }

    /// Every write that is not housekeeping: what [`FaultProxy::writes`](super::FaultProxy::writes) counts.
    #[must_use]
    pub fn writes() -> Self {
        Self::any().and("a write", |seen| seen.is_write && !seen.is_housekeeping())
    }

    /// The `n`-th write, from 1, since the rule was planned.
    #[must_use]
    pub fn nth_write(n: u64) -> Self {
        Self::writes().nth(n)
    }

    /// Requests that open a Kubernetes watch.
    #[must_use]
    pub fn watches() -> Self {
        Self::any().and("a watch", |seen| seen.is_watch)
    }

    /// Requests that read a whole Kubernetes collection.
    #[must_use]
    pub fn lists() -> Self {
        Self::any().and("a list", Seen::is_list)
    }

    /// Requests of one method.
    #[must_use]
    pub fn method(self, method: Method) -> Self {
        self.and(&format!("{method}"), move |seen| seen.method == method)
    }

    /// Paths that start with this.
    #[must_use]
    pub fn path(self, prefix: impl Into<String>) -> Self {
        let prefix = prefix.into();
        self.and(&format!("under {prefix}"), move |seen| seen.path.starts_with(&prefix))
    }

    /// A Kubernetes resource by its plural name, in any group, subresources included.
    #[must_use]
    pub fn resource(self, resource: impl Into<String>) -> Self {
        let wanted = resource.into();
        self.of_resource(&wanted.clone(), move |resource| resource.resource == wanted)
    }

    /// The API group, empty for the core group.
    #[must_use]
    pub fn group(self, group: impl Into<String>) -> Self {
        let wanted = group.into();
        self.of_resource(&format!("group {wanted}"), move |resource| resource.group == wanted)
    }

    /// Only this subresource, as in `status`.
    #[must_use]
    pub fn subresource(self, subresource: impl Into<String>) -> Self {
        let wanted = subresource.into();
        self.of_resource(&wanted.clone(), move |resource| resource.subresource.as_ref() == Some(&wanted))
    }

    /// No subresource: the object or the collection itself.
    #[must_use]
    pub fn itself(self) -> Self {
        self.of_resource("itself", |resource| resource.subresource.is_none())
    }

    /// Only this namespace.
    #[must_use]
    pub fn namespace(self, namespace: impl Into<String>) -> Self {
        let wanted = namespace.into();
        self.of_resource(&format!("in {wanted}"), move |resource| resource.namespace.as_ref() == Some(&wanted))
    }

    /// Only the object of this name.
    #[must_use]
    pub fn name(self, name: impl Into<String>) -> Self {
        let wanted = name.into();
        self.of_resource(&format!("named {wanted}"), move |resource| resource.name.as_ref() == Some(&wanted))
    }

    /// One more condition, which may not use the proxy; `what` is how it is called in messages.
    #[must_use]
    pub fn and(mut self, what: &str, condition: impl Fn(&Seen) -> bool + Send + Sync + 'static) -> Self {
        if !self.text.is_empty() {
            self.text.push_str(", ");
        }
        self.text.push_str(what);
        self.conditions.push(Arc::new(condition));
        self
    }

    /// Not the requests before the `n`-th, from 1, that fulfil the rest since the rule was planned.
    #[must_use]
    pub fn nth(mut self, n: u64) -> Self {
        self.nth = n;
        self
    }

    /// Whether the conditions hold, whatever the count says.
    #[must_use]
    pub fn holds(&self, seen: &Seen) -> bool {
        self.conditions.iter().all(|condition| condition(seen))
    }

    /// Whether the `count`-th request, from 1, that fulfils the conditions is late enough.
    pub(super) fn reached(&self, count: u64) -> bool {
        count >= self.nth
    }

    fn of_resource(self, what: &str, condition: impl Fn(&KubeResource) -> bool + Send + Sync + 'static) -> Self {
        self.and(what, move |seen| seen.resource.as_ref().is_some_and(&condition))
    }
}

impl fmt::Debug for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", if self.text.is_empty() { "anything" } else { &self.text })?;
        if self.nth > 1 { write!(f, ", from the {}th on", self.nth) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(method: Method, path: &str) -> Seen {
        Seen::classify(method, path, "", b"")
    }

    #[test]
    fn writes_leave_housekeeping_out() {
        assert!(Matcher::writes().holds(&seen(Method::PATCH, "/api/v1/namespaces/a/pods/p")));
        assert!(!Matcher::writes().holds(&seen(Method::PATCH, "/apis/coordination.k8s.io/v1/namespaces/a/leases/l")));
        assert!(!Matcher::writes().holds(&seen(Method::GET, "/api/v1/namespaces/a/pods/p")));
    }

    #[test]
    fn conditions_narrow_each_other() {
        let status = Matcher::any().group("chutes.ai").resource("gpuservers").subresource("status").name("s1");
        assert!(status.holds(&seen(Method::PATCH, "/apis/chutes.ai/v1/gpuservers/s1/status")));
        assert!(!status.holds(&seen(Method::PATCH, "/apis/chutes.ai/v1/gpuservers/s2/status")));
        assert!(!status.holds(&seen(Method::PATCH, "/apis/chutes.ai/v1/gpuservers/s1")));
        assert!(!status.clone().itself().holds(&seen(Method::PATCH, "/apis/chutes.ai/v1/gpuservers/s1/status")));
        assert_eq!(format!("{status:?}"), "group chutes.ai, gpuservers, status, named s1");
    }
}
