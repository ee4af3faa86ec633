//! From a declared stream to its endpoint.

use std::sync::Arc;

use futures_util::FutureExt;
use roadshow_actors::{CallContext, CommandEndpoint, Endpoint, EndpointSpec, Life, RateLimit, ServiceCore, accepting};
use roadshow_bridges::Failure;

use super::build::{executed, not_executed, state_of};
use super::command_options::ValidateFn;
use super::stream_options::StreamOptions;
use crate::context::Context;
use crate::contract::StreamContract;
use crate::guard::Guards;
use crate::stream::{Stream, StreamHandler, StreamInput, StreamRoute};

/// A stream of a service with state `S`, whatever its type.
pub(super) trait StreamPart<S>: Send + Sync {
    fn contract(&self) -> StreamContract;
    fn problems(&self) -> Vec<String>;
    fn endpoint(&self, service: &Arc<ServiceCore>) -> Arc<dyn CommandEndpoint>;
}

impl<S, R> StreamPart<S> for StreamOptions<R>
where
    S: StreamHandler<R>,
    R: Stream,
{
    fn contract(&self) -> StreamContract {
        StreamContract {
            address: R::ADDRESS,
            limits: self.limits,
            window: self.window,
            heartbeat: self.heartbeat,
            max_duration: self.max_duration,
            http: self.http_route(),
            rate_limited: !self.rates.is_empty(),
            notes: self.notes.clone(),
            input: |schemas| schemas.subschema_for::<R>(),
            item: |schemas| schemas.subschema_for::<R::Item>(),
        }
    }

    fn problems(&self) -> Vec<String> {
        StreamOptions::problems(self)
    }

    fn endpoint(&self, service: &Arc<ServiceCore>) -> Arc<dyn CommandEndpoint> {
        let (id, name) = (service.id(), R::ADDRESS.command());
        let (validate, before) = (self.validate, self.before.clone());
        let run = move |input: StreamInput<R, R::Item>, call: CallContext| {
            run_guarded::<S, R>(input, Context::new(call), validate, before.clone()).boxed()
        };
        let rate = self.rate_limits(service.node().clock());
        let endpoint = Endpoint::new(EndpointSpec {
            name,
            service: Arc::clone(service),
            limits: self.limits,
            rate: rate.map(|limits| Box::new(limits) as Box<dyn RateLimit>),
            metrics: service.node().metrics().endpoint(id.name(), id.version(), name),
            run: Box::new(run),
            key_of: None,
        });
        endpoint.show_load();
        Arc::new(StreamRoute {
            address: R::ADDRESS,
            life: Life {
                window: usize::try_from(self.window.get()).unwrap_or(usize::MAX),
                max_duration: self.max_duration,
                heartbeat: self.heartbeat,
            },
            endpoint,
        })
    }
}

/// Validate, before guards, handler.
async fn run_guarded<S: StreamHandler<R>, R: Stream>(
    opening: StreamInput<R, R::Item>,
    ctx: Context,
    validate: Option<ValidateFn<R>>,
    before: Guards<R>,
) -> Result<(), Failure> {
    let StreamInput { input, items, accept } = opening;
    if let Some(validate) = validate {
        validate(&input).map_err(not_executed)?;
    }
    before.check(&input, &ctx).await.map_err(not_executed)?;
    let outlet = items.share();
    let answer = accepting(accept, state_of::<S>(&ctx).open(input, items, &ctx)).await;
    match answer {
        // That the consumer has left is no fault of the handler's, which could not go on: it counts as a good end.
        Err(_) if outlet.is_closed() => Ok(()),
        answer => answer.map_err(executed),
    }
}
