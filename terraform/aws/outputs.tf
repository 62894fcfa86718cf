output "cluster_name" {
  description = "aws eks update-kubeconfig --name …"
  value       = aws_eks_cluster.this.name
}

output "region" {
  description = "Region of all resources."
  value       = var.region
}

output "registry" {
  description = "Repository URLs by image, for `kustomize edit set image`."
  value       = { for name, repository in aws_ecr_repository.this : name => repository.repository_url }
}

output "redis_host" {
  description = "Host of Redis. REDIS_URL is rediss://:PASSWORD@HOST:6379/ with the password you chose."
  value       = aws_elasticache_replication_group.this.primary_endpoint_address
}

output "data_cidr" {
  description = "Network range of Redis, for the network policy in k8s/overlays/aws."
  value       = module.plan.data_cidr
}
