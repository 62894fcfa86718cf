output "cluster_name" {
  description = "az aks get-credentials --name …"
  value       = azurerm_kubernetes_cluster.this.name
}

output "resource_group" {
  description = "Resource group of all resources, used in k8s/overlays/azure/load-balancer.yaml."
  value       = azurerm_resource_group.this.name
}

output "registry" {
  description = "Registry host, for `kustomize edit set image`."
  value       = azurerm_container_registry.this.login_server
}

output "public_ip_name" {
  description = "Name of the gateway's public address, used in k8s/overlays/azure/load-balancer.yaml."
  value       = azurerm_public_ip.gateway.name
}

output "public_ip" {
  description = "The gateway's public address: point your domain at it."
  value       = azurerm_public_ip.gateway.ip_address
}

output "api_client_id" {
  description = "Client id of the api role's identity, for k8s/overlays/azure/workload-identity.yaml."
  value       = azurerm_user_assigned_identity.api.client_id
}

output "openai_endpoint" {
  description = "OPENAI_ENDPOINT of the api role."
  value       = azurerm_cognitive_account.openai.endpoint
}

output "openai_deployment" {
  description = "OPENAI_DEPLOYMENT of the api role."
  value       = azurerm_cognitive_deployment.model.name
}

output "redis_url" {
  description = "REDIS_URL, including the password. Azure generates the key, so the state contains it: protect the state accordingly."
  value       = "rediss://:${urlencode(local.redis.key)}@${local.redis.host}:${local.redis.port}/"
  sensitive   = true
}

output "data_cidr" {
  description = "Network range of Redis, for the network policy in k8s/overlays/azure."
  value       = module.plan.data_cidr
}
